# The connection layer of the server: a library of its own, which knows no models; fuzz targets link it alone. The table
# of limits and the log are in it, for it is below the rest of the server.
find_package(PkgConfig REQUIRED)
foreach(pair "NGHTTP2:libnghttp2" "OPENSSL:libssl" "CRYPTO:libcrypto" "ZLIB:zlib" "ZSTD:libzstd")
  string(REPLACE ":" ";" pair ${pair})
  list(GET pair 0 name)
  list(GET pair 1 library)
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET ${library})
endforeach()
file(GLOB net_sources CONFIGURE_DEPENDS server/net/*.c server/limits.c server/log.c)
add_library(sardonyx_net STATIC ${net_sources})
target_include_directories(sardonyx_net PUBLIC ${PROJECT_SOURCE_DIR} src include)
target_link_libraries(sardonyx_net PUBLIC sardonyx_support Threads::Threads PkgConfig::NGHTTP2 PkgConfig::OPENSSL PkgConfig::CRYPTO
                      PkgConfig::ZLIB PkgConfig::ZSTD)
