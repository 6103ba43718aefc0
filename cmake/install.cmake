# What `make install` puts where: command, libraries, headers, and how pkg-config and CMake find them.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
install(DIRECTORY include/sardonyx DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
set_target_properties(sardonyx_shared PROPERTIES EXPORT_NAME sardonyx)
set_target_properties(sardonyx_static PROPERTIES EXPORT_NAME static)
install(TARGETS sardonyx_shared sardonyx_static EXPORT sardonyx-targets)
if(TARGET sardonyx)
  install(TARGETS sardonyx)
  install(DIRECTORY ${CMAKE_BINARY_DIR}/share/sardonyx DESTINATION ${CMAKE_INSTALL_DATADIR})
  if(TARGET manuals)
    install(DIRECTORY ${CMAKE_BINARY_DIR}/share/man1 DESTINATION ${CMAKE_INSTALL_MANDIR})
    foreach(pair "bash bash-completion/completions sardonyx" "zsh zsh/site-functions _sardonyx"
            "fish fish/vendor_completions.d sardonyx.fish")
      string(REPLACE " " ";" pair ${pair})
      list(GET pair 0 shell)
      list(GET pair 1 folder)
      list(GET pair 2 name)
      install(FILES ${CMAKE_BINARY_DIR}/share/sardonyx.${shell} RENAME ${name} DESTINATION ${CMAKE_INSTALL_DATADIR}/${folder})
    endforeach()
  endif()
  install(TARGETS sardonyx-runtime DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/sardonyx)
endif()

# find_package(sardonyx): sardonyx::sardonyx is the shared library, sardonyx::static the other one.
set(SDX_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/sardonyx)
install(EXPORT sardonyx-targets NAMESPACE sardonyx:: DESTINATION ${SDX_CMAKE_DIR})
write_basic_package_version_file(${SDX_GENERATED}/sardonyx-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES cmake/sardonyx-config.cmake ${SDX_GENERATED}/sardonyx-config-version.cmake DESTINATION ${SDX_CMAKE_DIR})

# The prefix is found from where the file lies, so that an installed tree may be moved.
file(RELATIVE_PATH SDX_PREFIX_FROM_PC /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(cmake/sardonyx.pc.in ${SDX_GENERATED}/sardonyx.pc @ONLY)
install(FILES ${SDX_GENERATED}/sardonyx.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
