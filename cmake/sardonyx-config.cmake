# find_package(sardonyx): see install.cmake.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/sardonyx-targets.cmake)
