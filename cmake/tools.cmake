# The command and the server: clients of the public header.
find_package(PkgConfig REQUIRED)
pkg_check_modules(MHD REQUIRED IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(ARCHIVE REQUIRED IMPORTED_TARGET libarchive)
include(cmake/records.cmake)

# The server is a library: the command and its tests link it.
file(GLOB server_sources CONFIGURE_DEPENDS server/*.c server/routes/*.c)
sdx_record_table(http_route HTTP_ROUTE server/route.h ${server_sources})
add_library(sardonyx_server STATIC ${server_sources} ${http_route_table})
target_include_directories(sardonyx_server PUBLIC ${CMAKE_SOURCE_DIR})
target_link_libraries(sardonyx_server PUBLIC sardonyx_static sardonyx_base PkgConfig::MHD)

file(GLOB cli_sources CONFIGURE_DEPENDS cli/*.c)
sdx_record_table(cli_command CLI_COMMAND cli/cli.h ${cli_sources})
add_executable(sardonyx ${cli_sources} ${cli_command_table})
target_include_directories(sardonyx PRIVATE ${CMAKE_SOURCE_DIR})
target_link_libraries(sardonyx PRIVATE sardonyx_codecs sardonyx_server sardonyx_registry PkgConfig::ARCHIVE)
set_source_files_properties(cli/cmd_test.c PROPERTIES
  COMPILE_DEFINITIONS "SDX_KNOWN_SETS=\"${CMAKE_SOURCE_DIR}/tests/models/known.txt\"")

# What this build supports, as a table to read.
if(NOT CMAKE_CROSSCOMPILING)
  add_custom_command(OUTPUT docs/operators.md
    COMMAND ${CMAKE_COMMAND} -E make_directory docs
    COMMAND sardonyx ops --markdown > docs/operators.md
    DEPENDS sardonyx WORKING_DIRECTORY ${CMAKE_BINARY_DIR} VERBATIM)
  add_custom_target(docs ALL DEPENDS docs/operators.md)
endif()
