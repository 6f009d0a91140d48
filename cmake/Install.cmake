# cmake --install: headers, library, CMake package (find_package(pintle CONFIG)), pkg-config file. All of it can be
# moved to another folder afterwards.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/pintle)
install(TARGETS pintle EXPORT pintleTargets)
install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
if(CMAKE_HOST_UNIX)
    install(PROGRAMS cmake/pintle-wine-run DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(EXPORT pintleTargets NAMESPACE pintle:: DESTINATION ${package_dir})

configure_package_config_file(cmake/pintleConfig.cmake.in pintleConfig.cmake INSTALL_DESTINATION ${package_dir}
    NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(pintleConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/pintleConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/pintleConfigVersion.cmake
    cmake/PintleServices.cmake cmake/PintleWine.cmake cmake/messages.mc DESTINATION ${package_dir})

# pkg-config: what the static library needs is private where a shared one is installed (pkg-config --static asks for
# it), and public where there is only the static one.
set(pc_static_cflags)
set(pc_static_libs)
if(WIN32)
    set(pc_static_cflags " -DPINTLE_STATIC")
else()
    set(pc_static_libs " -pthread")
    foreach(library IN LISTS CMAKE_DL_LIBS)
        string(APPEND pc_static_libs " -l${library}")
    endforeach()
endif()
set(pc_cflags_private ${pc_static_cflags})
set(pc_libs_private ${pc_static_libs})
set(pc_cflags)
set(pc_libs)
if(NOT BUILD_SHARED_LIBS)
    set(pc_cflags ${pc_static_cflags})
    set(pc_libs ${pc_static_libs})
    set(pc_cflags_private)
    set(pc_libs_private)
endif()
file(RELATIVE_PATH pc_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/pintle.pc.in pintle.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/pintle.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
