# Libraries that the tests and the command use; Pintle itself needs none.
#   pintle_check   Check, the test framework     #include <check.h>
#   pintle_cjson   cJSON, for the command        #include <cJSON.h>
# Cross-compiled for Windows they come from build/deps/mingw64, which scripts/setup makes from Debian's sources;
# elsewhere from the system's packages (Debian: check, libcjson-dev; MSYS2: check, cjson).
function(pintle_find_dependency target header library hint)
    if(WIN32)
        set(CMAKE_FIND_LIBRARY_SUFFIXES .a .dll.a) # static ones first: our programs need no DLL but the system's
    endif()
    find_path(${target}_INCLUDE ${header} PATH_SUFFIXES cjson)
    find_library(${target}_LIBRARY NAMES ${library})
    mark_as_advanced(${target}_INCLUDE ${target}_LIBRARY)
    if(NOT ${target}_INCLUDE OR NOT ${target}_LIBRARY)
        message(FATAL_ERROR "${header} or its library was not found: ${hint}.")
    endif()
    add_library(${target} INTERFACE)
    target_include_directories(${target} SYSTEM INTERFACE ${${target}_INCLUDE})
    target_link_libraries(${target} INTERFACE ${${target}_LIBRARY})
endfunction()

if(PINTLE_BUILD_TESTS)
    # Debian has two builds of Check; only the _pic one can be linked into position-independent programs.
    pintle_find_dependency(pintle_check check.h "check_pic;check" "run scripts/setup, or set PINTLE_BUILD_TESTS=OFF")
    if(WIN32)
        target_link_libraries(pintle_check INTERFACE -pthread)
    else()
        find_library(PINTLE_SUBUNIT_LIBRARY subunit) # Debian's Check needs it
        mark_as_advanced(PINTLE_SUBUNIT_LIBRARY)
        find_package(Threads REQUIRED)
        target_link_libraries(pintle_check INTERFACE "$<$<BOOL:${PINTLE_SUBUNIT_LIBRARY}>:${PINTLE_SUBUNIT_LIBRARY}>"
            Threads::Threads m)
    endif()
endif()
if(PINTLE_BUILD_TOOLS)
    pintle_find_dependency(pintle_cjson cJSON.h "cjson" "run scripts/setup, or set PINTLE_BUILD_TOOLS=OFF")
endif()
