# Benchmarks: bench/bench_<name>.c becomes the program bench_<name>, linked with the engine's internals.
file(GLOB benches CONFIGURE_DEPENDS bench/bench_*.c)
foreach(bench ${benches})
  get_filename_component(name ${bench} NAME_WE)
  add_executable(${name} EXCLUDE_FROM_ALL ${bench} bench/probe.c)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE sardonyx_internal)
endforeach()

# Against ONNX Runtime, which is loaded at run time if its wheel is there.
add_executable(bench_overhead bench/bench_overhead.c bench/ort.c)
target_include_directories(bench_overhead PRIVATE ${CMAKE_SOURCE_DIR}/bench)
target_link_libraries(bench_overhead PRIVATE sardonyx_static ${CMAKE_DL_LIBS})
