# Fuzz targets: tests/fuzz/fuzz_<name>.c. With SDX_FUZZ they are libFuzzer programs; else each is linked
# with replay.c and runs its corpus as the test fuzz/<name>.
# Parsers of the server and the command alone: the fuzz preset builds neither.
add_library(client_parsers STATIC server/json_tensor.c server/regions.c server/score_body.c server/tensor_io.c
            server/labels.c server/v2_request.c server/v2_tensor.c server/grpc_request.c server/table_body.c
            server/monitor/baseline.c server/monitor/trace.c server/model_config.c
            cli/csv.c support/elements.c cli/io_npy.c cli/table.c cli/util.c)
target_include_directories(client_parsers PUBLIC ${PROJECT_SOURCE_DIR})
target_link_libraries(client_parsers PUBLIC sardonyx_net sardonyx_internal PkgConfig::JANSSON)
set(registry_fuzzers workspace oci layout token) # what the registry and deploy read
file(GLOB fuzzers CONFIGURE_DEPENDS tests/fuzz/fuzz_*.c)
foreach(source ${fuzzers})
  get_filename_component(target ${source} NAME_WE)
  string(REGEX REPLACE "^fuzz_" "" name ${target})
  add_executable(${target} ${source})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
  if(name IN_LIST registry_fuzzers)
    target_link_libraries(${target} PRIVATE sardonyx_deploy)
  elseif(name MATCHES "^(convert_|sstable)")
    target_link_libraries(${target} PRIVATE sardonyx_convert)
  else()
    target_link_libraries(${target} PRIVATE sardonyx_codecs client_parsers)
  endif()
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
  if(SDX_FUZZ)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    add_test(NAME fuzz/${name} COMMAND ${target} -runs=0 ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
  else()
    target_sources(${target} PRIVATE tests/fuzz/replay.c)
    add_test(NAME fuzz/${name} COMMAND ${target} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
  endif()
endforeach()
