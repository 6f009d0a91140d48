# The steps of the consumer tests; tests/CMakeLists.txt passes the variables:
#   STEP                     install, find_package or pkg_config
#   SHARED                   whether Pintle is a shared library
#   SOURCE, WORK             Pintle's source, a folder to work in
#   TOOLCHAIN, EMULATOR      when cross-compiling
#   CC, BUILD_TYPE, OBJDUMP  those of the build under test
set(installed ${WORK}/installed)
set(common -G Ninja -DCMAKE_BUILD_TYPE=${BUILD_TYPE})
if(TOOLCHAIN)
    list(APPEND common --toolchain ${TOOLCHAIN})
else()
    list(APPEND common -DCMAKE_C_COMPILER=${CC})
endif()

function(run)
    execute_process(COMMAND ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# program: without .exe
function(run_program program)
    if(EXISTS ${program}.exe)
        string(APPEND program .exe)
        file(GLOB dlls ${installed}/bin/*.dll)
        cmake_path(GET program PARENT_PATH folder)
        file(COPY ${dlls} DESTINATION ${folder})
        foreach(file IN LISTS dlls ITEMS ${program})
            run(${CMAKE_COMMAND} -DFILE=${file} -DOBJDUMP=${OBJDUMP} -P ${SOURCE}/cmake/check-imports.cmake)
        endforeach()
    endif()
    set(ENV{LD_LIBRARY_PATH} ${installed}/lib)
    run(${EMULATOR} ${program})
endfunction()

if(STEP STREQUAL "install")
    file(REMOVE_RECURSE ${WORK})
    run(${CMAKE_COMMAND} -S ${SOURCE} -B ${WORK}/pintle ${common} -DBUILD_SHARED_LIBS=${SHARED} -DPINTLE_BUILD_TESTS=OFF
        -DPINTLE_BUILD_TOOLS=OFF -DPINTLE_BUILD_BENCH=OFF -DCMAKE_INSTALL_LIBDIR=lib)
    run(${CMAKE_COMMAND} --build ${WORK}/pintle)
    run(${CMAKE_COMMAND} --install ${WORK}/pintle --prefix ${WORK}/elsewhere)
    file(RENAME ${WORK}/elsewhere ${installed}) # what is installed can be moved
elseif(STEP STREQUAL "find_package")
    run(${CMAKE_COMMAND} -S ${SOURCE}/tests/consumer -B ${WORK}/find_package ${common} -DCMAKE_PREFIX_PATH=${installed})
    run(${CMAKE_COMMAND} --build ${WORK}/find_package)
    run_program(${WORK}/find_package/consumer)
elseif(STEP STREQUAL "pkg_config")
    set(ENV{PKG_CONFIG_LIBDIR} ${installed}/lib/pkgconfig)
    execute_process(COMMAND pkg-config --cflags --libs pintle OUTPUT_VARIABLE flags COMMAND_ERROR_IS_FATAL ANY)
    separate_arguments(flags UNIX_COMMAND ${flags})
    file(MAKE_DIRECTORY ${WORK}/pkg_config)
    run(${CC} ${SOURCE}/tests/consumer/main.c -o ${WORK}/pkg_config/consumer ${flags})
    run_program(${WORK}/pkg_config/consumer)
elseif(STEP STREQUAL "wine")
    # As a project that cross-compiles: nothing of Wine in its own files.
    set(ENV{PINTLE_WINEPREFIX} ${SOURCE}/build/wine)
    unset(ENV{PINTLE_WINE_SECONDS})
    run(${CMAKE_COMMAND} -S ${SOURCE}/tests/consumer -B ${WORK}/wine -G Ninja -DCMAKE_SYSTEM_NAME=Windows
        -DCMAKE_SYSTEM_PROCESSOR=x86_64 -DCMAKE_C_COMPILER=${CC} -DCMAKE_FIND_ROOT_PATH=/usr/x86_64-w64-mingw32
        -DCMAKE_PREFIX_PATH=${installed})
    run(${CMAKE_COMMAND} --build ${WORK}/wine)
    run(${CMAKE_CTEST_COMMAND} --test-dir ${WORK}/wine -j2 --output-on-failure --no-tests=error)
    execute_process(COMMAND ${CMAKE_CTEST_COMMAND} --test-dir ${WORK}/wine -N OUTPUT_VARIABLE tests)
    if(NOT tests MATCHES "Total Tests: 2")
        message(FATAL_ERROR "not the program's test and Wine's start: ${tests}")
    endif()
endif()
