# What every CTest test of the project shares: time-outs, labels, and Wine.
enable_testing()

# pintle_test_properties(NAME KIND SECONDS): SECONDS is the limit that the test keeps by itself, if it has a watchdog.
# Behind it come Wine's runner, which takes Wine's processes along, and CTest.
function(pintle_test_properties name kind limit_s)
    if(PINTLE_SANITIZE)
        math(EXPR limit_s "${limit_s} * 10") # TEST_SLOWNESS
    endif()
    math(EXPR runner_limit_s "${limit_s} + 5")
    math(EXPR ctest_limit_s "${limit_s} + 10")
    if(CMAKE_CROSSCOMPILING)
        math(EXPR ctest_limit_s "${limit_s} + 40") # the runner shows what hangs first
    endif()
    set_tests_properties(${name} PROPERTIES LABELS ${kind} TIMEOUT ${ctest_limit_s}
        ENVIRONMENT "PINTLE_WINE_SECONDS=${runner_limit_s};WINEDEBUG=-all,err+module") # names a DLL that is missing
    # Wine can end a program that crashed with status 0: our programs lie at 0x14……. (In a death test it is the child that
    # crashes, and the case looks at its status. Elsewhere it may be Wine's own device host that crashed: it writes to
    # the output of whichever test it was started by.)
    if(kind STREQUAL "death")
        set_tests_properties(${name} PROPERTIES FAIL_REGULAR_EXPRESSION "err:module:.*Importing dlls for")
    else()
        set_tests_properties(${name} PROPERTIES FAIL_REGULAR_EXPRESSION
            "wine: Unhandled.* at address 0*14|err:module:.*Importing dlls for")
    endif()
    if(CMAKE_CROSSCOMPILING)
        set_tests_properties(${name} PROPERTIES FIXTURES_REQUIRED wine)
    endif()
endfunction()

# Wine is booted and its server started once, before the tests that run in parallel.
if(CMAKE_CROSSCOMPILING)
    add_test(NAME wine.start COMMAND ${CMAKE_CROSSCOMPILING_EMULATOR} --start)
    set_tests_properties(wine.start PROPERTIES FIXTURES_SETUP wine TIMEOUT 120 LABELS wine)
endif()

# Tests that install services have a Wine prefix of their own, where nothing else asks its service manager.
function(pintle_test_in_services_prefix name)
    if(CMAKE_CROSSCOMPILING)
        set_tests_properties(${name} PROPERTIES FIXTURES_REQUIRED wine_services
            ENVIRONMENT_MODIFICATION "PINTLE_WINEPREFIX=set:${PROJECT_BINARY_DIR}/../wine-services")
    endif()
endfunction()
if(CMAKE_CROSSCOMPILING)
    add_test(NAME wine.start_services COMMAND ${CMAKE_CROSSCOMPILING_EMULATOR} --start)
    set_tests_properties(wine.start_services PROPERTIES FIXTURES_SETUP wine_services FIXTURES_REQUIRED wine TIMEOUT 120
        LABELS wine ENVIRONMENT_MODIFICATION "PINTLE_WINEPREFIX=set:${PROJECT_BINARY_DIR}/../wine-services")
endif()
