# The command and the server: clients of the public header.
find_package(PkgConfig REQUIRED)
pkg_check_modules(MHD REQUIRED IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(PNG REQUIRED IMPORTED_TARGET libpng)
pkg_check_modules(JPEG REQUIRED IMPORTED_TARGET libjpeg)
pkg_check_modules(ARCHIVE REQUIRED IMPORTED_TARGET libarchive)
file(GLOB SDX_CLI_SOURCES CONFIGURE_DEPENDS cli/*.c server/*.c server/*/*.c)
if(SDX_CLI_SOURCES)
  add_executable(sardonyx ${SDX_CLI_SOURCES})
  target_include_directories(sardonyx PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(sardonyx PRIVATE sardonyx_static PkgConfig::MHD PkgConfig::JANSSON PkgConfig::PNG
    PkgConfig::JPEG PkgConfig::ARCHIVE)
endif()
