# The command and the server: clients of the public header.
find_package(PkgConfig REQUIRED)
include(cmake/records.cmake)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)

# The server is a library: the command and its tests link it.
file(GLOB server_sources CONFIGURE_DEPENDS server/*.c server/admission/*.c server/monitor/*.c server/routes/*.c)
list(REMOVE_ITEM server_sources ${net_sources})
sdx_record_table(http_route HTTP_ROUTE server/route.h http_route ${server_sources})
file(GLOB ui_files CONFIGURE_DEPENDS ui/*.html ui/*.css ui/*.js ui/*.json)
sdx_embed(ui ${ui_files})
add_library(sardonyx_server STATIC ${server_sources} ${http_route_table} ${ui_table})
target_include_directories(sardonyx_server PUBLIC ${PROJECT_SOURCE_DIR})
target_link_libraries(sardonyx_server PUBLIC sardonyx_view sardonyx_script PkgConfig::UTF8PROC sardonyx_net sardonyx_static sardonyx_base)

file(GLOB quantize_sources CONFIGURE_DEPENDS quantize/*.c)
add_library(sardonyx_quantize STATIC ${quantize_sources})
target_include_directories(sardonyx_quantize PUBLIC ${PROJECT_SOURCE_DIR})
target_link_libraries(sardonyx_quantize PUBLIC sardonyx_support sardonyx_static m)

# The workspace over HTTP: routes for the server.
file(GLOB rest_sources CONFIGURE_DEPENDS rest/*.c)
sdx_record_table(rest_route REST_ROUTE rest/rest.h rest_route ${rest_sources})
add_library(sardonyx_rest STATIC ${rest_sources} ${rest_route_table})
target_link_libraries(sardonyx_rest PUBLIC sardonyx_server sardonyx_deploy)

# The model's graph as a page or a picture; what runs in the browser travels inside.
file(GLOB view_sources CONFIGURE_DEPENDS view/*.c)
file(GLOB viewer_files CONFIGURE_DEPENDS view/*.css view/*.html view/*.js)
sdx_embed(viewer ${viewer_files})
add_library(sardonyx_view STATIC ${view_sources} ${viewer_table})
target_include_directories(sardonyx_view PUBLIC ${PROJECT_SOURCE_DIR})
target_link_libraries(sardonyx_view PUBLIC sardonyx_support sardonyx_static PkgConfig::JANSSON PRIVATE PkgConfig::CRYPTO m)

file(GLOB cli_sources CONFIGURE_DEPENDS cli/*.c)
sdx_record_table(cli_command CLI_COMMAND cli/cli.h cli_command ${cli_sources})
sdx_record_table(model_scheme MODEL_SCHEME cli/locate.h model_scheme ${cli_sources})
add_executable(sardonyx ${cli_sources} ${cli_command_table} ${model_scheme_table})
target_include_directories(sardonyx PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(sardonyx PRIVATE sardonyx_codecs sardonyx_rest sardonyx_convert sardonyx_quantize sardonyx_view sardonyx_deploy PkgConfig::ARCHIVE)
set_source_files_properties(cli/cmd_test.c PROPERTIES
  COMPILE_DEFINITIONS "SDX_KNOWN_SETS=\"${PROJECT_SOURCE_DIR}/tests/models/known.txt\"")

# The server alone, for images (deploy/runtime.c): it finds loader and libraries where images have them.
set(runtime_sources cli/main.c cli/args.c cli/util.c cli/files.c cli/table.c cli/locate.c cli/labels.c cli/engine_options.c
  cli/cmd_serve.c cli/cmd_version.c)
sdx_record_table(cli_command CLI_COMMAND cli/cli.h runtime_command ${runtime_sources})
sdx_record_table(model_scheme MODEL_SCHEME cli/locate.h runtime_scheme ${runtime_sources})
add_executable(sardonyx-runtime ${runtime_sources} ${runtime_command_table} ${runtime_scheme_table})
target_include_directories(sardonyx-runtime PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(sardonyx-runtime PRIVATE sardonyx_codecs sardonyx_server sardonyx_support PkgConfig::JANSSON)
if(SDX_ARCH STREQUAL "aarch64")
  set(loader ld-linux-aarch64.so.1)
else()
  set(loader ld-linux-x86-64.so.2)
endif()
target_link_options(sardonyx-runtime PRIVATE -Wl,--as-needed -Wl,--gc-sections -s
  -Wl,--dynamic-linker=/opt/sardonyx/lib/${loader} -Wl,-rpath,/opt/sardonyx/lib -Wl,--disable-new-dtags)

# What this build supports, as a table to read.
if(NOT CMAKE_CROSSCOMPILING)
  add_custom_command(OUTPUT docs/operators.md
    COMMAND ${CMAKE_COMMAND} -E make_directory docs
    COMMAND sardonyx ops --markdown > docs/operators.md
    DEPENDS sardonyx WORKING_DIRECTORY ${PROJECT_BINARY_DIR} VERBATIM)
  add_custom_target(docs ALL DEPENDS docs/operators.md)

  # Completion scripts and manual pages come out of the command table.
  add_custom_command(OUTPUT share/sardonyx.bash share/sardonyx.zsh share/sardonyx.fish share/man1/sardonyx.1
    COMMAND sardonyx completion bash > share/sardonyx.bash
    COMMAND sardonyx completion zsh > share/sardonyx.zsh
    COMMAND sardonyx completion fish > share/sardonyx.fish
    COMMAND sardonyx manual --output share/man1
    DEPENDS sardonyx WORKING_DIRECTORY ${CMAKE_BINARY_DIR} VERBATIM)
  add_custom_target(manuals ALL DEPENDS share/man1/sardonyx.1)
endif()
