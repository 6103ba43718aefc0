# Benchmarks: bench/bench_<name>.c becomes the program bench_<name>, linked with the engine's internals.
# Rivals are loaded at run time if they are there; nothing of them is linked.
file(GLOB benches CONFIGURE_DEPENDS bench/bench_*.c)
foreach(bench ${benches})
  get_filename_component(name ${bench} NAME_WE)
  add_executable(${name} EXCLUDE_FROM_ALL ${bench} bench/probe.c bench/ort.c)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE sardonyx_internal ${CMAKE_DL_LIBS})
endforeach()
