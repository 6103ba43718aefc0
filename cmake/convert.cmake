# Converters: a source format is one file of convert/ with a CONVERT_FORMAT record.
file(GLOB convert_sources CONFIGURE_DEPENDS convert/*.c)
sdx_record_table(convert_format CONVERT_FORMAT convert/convert.h convert_format ${convert_sources})
# What reads files that are programs travels inside of ours.
file(GLOB convert_programs CONFIGURE_DEPENDS convert/*.py)
sdx_embed(converters ${convert_programs})
add_library(sardonyx_convert STATIC ${convert_sources} ${convert_format_table} ${converters_table})
target_include_directories(sardonyx_convert PUBLIC ${PROJECT_SOURCE_DIR})
target_link_libraries(sardonyx_convert PUBLIC sardonyx_support sardonyx_static m PRIVATE PkgConfig::ARCHIVE PkgConfig::JANSSON)
