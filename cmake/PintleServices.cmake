# pintle_service_messages(TARGET): gives a Windows program the message table by which the event viewer shows what
# pintle_service_log writes. pintle_scm_install looks for it; without one, Windows' own EventCreate.exe serves. Elsewhere it
# does nothing.
set(PINTLE_MESSAGES_MC ${CMAKE_CURRENT_LIST_DIR}/messages.mc)
function(pintle_service_messages target)
    if(NOT WIN32)
        return()
    endif()
    find_program(PINTLE_WINDMC NAMES x86_64-w64-mingw32-windmc windmc REQUIRED)
    find_program(PINTLE_WINDRES NAMES x86_64-w64-mingw32-windres windres REQUIRED)
    set(folder ${CMAKE_CURRENT_BINARY_DIR}/${target}-messages)
    file(MAKE_DIRECTORY ${folder})
    add_custom_command(OUTPUT ${folder}/messages.o
        COMMAND ${PINTLE_WINDMC} -b -h ${folder} -r ${folder} ${PINTLE_MESSAGES_MC}
        COMMAND ${PINTLE_WINDRES} -I ${folder} ${folder}/messages.rc -O coff -o ${folder}/messages.o
        DEPENDS ${PINTLE_MESSAGES_MC} WORKING_DIRECTORY ${folder} VERBATIM)
    set_source_files_properties(${folder}/messages.o PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
    target_sources(${target} PRIVATE ${folder}/messages.o)
endfunction()
