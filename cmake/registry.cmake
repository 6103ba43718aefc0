# What stands beside the engine: support, the registry, images. Libraries, as the command, the server and their tests link them.
find_package(PkgConfig REQUIRED)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(ARCHIVE REQUIRED IMPORTED_TARGET libarchive)
pkg_check_modules(CURL REQUIRED libcurl) # its header: the library is loaded when it is needed
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
include(cmake/embed.cmake)

file(GLOB support_sources CONFIGURE_DEPENDS support/*.c)
add_library(sardonyx_support STATIC ${support_sources})
target_include_directories(sardonyx_support PUBLIC ${PROJECT_SOURCE_DIR} PRIVATE ${CURL_INCLUDE_DIRS})
target_link_libraries(sardonyx_support PUBLIC sardonyx_base
  PRIVATE PkgConfig::CRYPTO PkgConfig::SECCOMP PkgConfig::JANSSON ${CMAKE_DL_LIBS})

file(GLOB registry_sources CONFIGURE_DEPENDS registry/*.c)
file(GLOB migrations CONFIGURE_DEPENDS registry/migrations/*.sql)
sdx_embed(migrations ${migrations})
add_library(sardonyx_registry STATIC ${registry_sources} ${migrations_table})
target_link_libraries(sardonyx_registry PUBLIC sardonyx_support PkgConfig::JANSSON PRIVATE PkgConfig::SQLITE)

file(GLOB deploy_sources CONFIGURE_DEPENDS deploy/*.c)
file(GLOB manifests CONFIGURE_DEPENDS deploy/manifests/*.yaml)
sdx_embed(manifests ${manifests})
file(GLOB monitoring CONFIGURE_DEPENDS deploy/monitoring/*.json deploy/monitoring/*.yaml)
sdx_embed(monitoring ${monitoring})
add_library(sardonyx_deploy STATIC ${deploy_sources} ${manifests_table} ${monitoring_table})
target_link_libraries(sardonyx_deploy PUBLIC sardonyx_registry sardonyx_static
  PRIVATE PkgConfig::ARCHIVE PkgConfig::CRYPTO PkgConfig::YAML PkgConfig::ZLIB PkgConfig::ZSTD)

# Script workers: the host's side is a library, the Python side lies beside the programs as it is installed.
add_library(sardonyx_script STATIC script/worker.c)
target_link_libraries(sardonyx_script PUBLIC sardonyx_support PkgConfig::JANSSON)
file(GLOB script_programs CONFIGURE_DEPENDS script/*.py)
file(COPY ${script_programs} DESTINATION ${CMAKE_BINARY_DIR}/share/sardonyx/script)
file(GLOB_RECURSE script_azureml CONFIGURE_DEPENDS compat/azureml/azureml/*.py)
file(COPY compat/azureml/azureml DESTINATION ${CMAKE_BINARY_DIR}/share/sardonyx/script/compat FILES_MATCHING PATTERN *.py)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${script_programs} ${script_azureml})
target_link_libraries(sardonyx_deploy PUBLIC sardonyx_script)
