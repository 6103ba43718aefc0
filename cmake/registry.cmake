# What stands beside the engine: support, the registry. Libraries, as the command, the server and their tests link them.
find_package(PkgConfig REQUIRED)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
include(cmake/embed.cmake)

file(GLOB support_sources CONFIGURE_DEPENDS support/*.c)
add_library(sardonyx_support STATIC ${support_sources})
target_include_directories(sardonyx_support PUBLIC ${CMAKE_SOURCE_DIR})
target_link_libraries(sardonyx_support PUBLIC sardonyx_base PRIVATE PkgConfig::CRYPTO PkgConfig::SECCOMP)

file(GLOB registry_sources CONFIGURE_DEPENDS registry/*.c)
file(GLOB migrations CONFIGURE_DEPENDS registry/migrations/*.sql)
sdx_embed(migrations ${migrations})
add_library(sardonyx_registry STATIC ${registry_sources} ${migrations_table})
target_link_libraries(sardonyx_registry PUBLIC sardonyx_support PkgConfig::JANSSON PRIVATE PkgConfig::SQLITE)
