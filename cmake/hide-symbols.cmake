# Gives the global names of a static library that are not its users' business the prefix pintle__, in place:
#   cmake -DARCHIVE=… -DNM=… -DOBJCOPY=… -P hide-symbols.cmake
# Not by merging the objects and making the names local, as for ELF: `ld -r` loses what .pdata says where functions are
# (binutils 2.40), and then no exception, and no backtrace, gets through the library.
execute_process(COMMAND ${NM} -g --defined-only --format=posix ${ARCHIVE} OUTPUT_VARIABLE lines
    COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "\n[^ \n]+ [A-Za-z] " found "\n${lines}")
set(names)
foreach(line IN LISTS found)
    string(REGEX REPLACE "^\n([^ ]+) .*" "\\1" name "${line}")
    if(NOT name MATCHES "^pintle_")
        list(APPEND names "${name} pintle__${name}")
    endif()
endforeach()
list(REMOVE_DUPLICATES names)
list(JOIN names "\n" text)
file(WRITE ${ARCHIVE}.names "${text}\n")
execute_process(COMMAND ${OBJCOPY} --redefine-syms=${ARCHIVE}.names ${ARCHIVE} COMMAND_ERROR_IS_FATAL ANY)
