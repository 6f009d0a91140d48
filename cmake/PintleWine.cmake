# For Windows programs that are built elsewhere and tested under Wine. find_package(pintle) brings:
#
#   CMAKE_CROSSCOMPILING_EMULATOR   pintle-wine-run, unless the project or its toolchain file has chosen another: add_test runs
#                                   programs by it
#   pintle_wine_test(NAME SECONDS)  for a test made by add_test: Wine is booted and its server started before it, once for all;
#                                   after the seconds its threads are shown and it is ended
# Elsewhere pintle_wine_test sets the limit only.
if(CMAKE_CROSSCOMPILING AND WIN32 AND NOT CMAKE_CROSSCOMPILING_EMULATOR)
    set(CMAKE_CROSSCOMPILING_EMULATOR ${PINTLE_WINE_RUN})
endif()

function(pintle_wine_test name limit_s)
    math(EXPR behind_s "${limit_s} + 40") # the dump takes its time
    set_tests_properties(${name} PROPERTIES TIMEOUT ${behind_s})
    if(NOT CMAKE_CROSSCOMPILING OR NOT WIN32)
        set_tests_properties(${name} PROPERTIES TIMEOUT ${limit_s})
        return()
    endif()
    if(NOT TEST pintle_wine_start)
        add_test(NAME pintle_wine_start COMMAND ${PINTLE_WINE_RUN} --start)
        set_tests_properties(pintle_wine_start PROPERTIES FIXTURES_SETUP pintle_wine TIMEOUT 180)
    endif()
    set_property(TEST ${name} APPEND PROPERTY FIXTURES_REQUIRED pintle_wine)
    set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT PINTLE_WINE_SECONDS=${limit_s})
endfunction()
