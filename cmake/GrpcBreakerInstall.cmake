# Installs headers, the CMake package and the pkg-config file. The libraries are
# installed where they are declared (GrpcBreakerTargets.cmake).

include(CMakePackageConfigHelpers)

install(
  DIRECTORY ${PROJECT_SOURCE_DIR}/interceptor/grpc_breaker
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING
  PATTERN *.h
  PATTERN internal EXCLUDE)

set(package_directory ${CMAKE_INSTALL_LIBDIR}/cmake/grpc_breaker)
configure_package_config_file(
  ${CMAKE_CURRENT_LIST_DIR}/grpc_breakerConfig.cmake.in
  ${PROJECT_BINARY_DIR}/grpc_breakerConfig.cmake
  INSTALL_DESTINATION ${package_directory})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/grpc_breakerConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/grpc_breakerConfig.cmake
              ${PROJECT_BINARY_DIR}/grpc_breakerConfigVersion.cmake
        DESTINATION ${package_directory})
install(
  EXPORT grpc_breaker
  NAMESPACE grpc_breaker::
  FILE grpc_breakerTargets.cmake
  DESTINATION ${package_directory})

# pkg-config: what our libraries link to, as far as it has a .pc file.
get_property(libraries GLOBAL PROPERTY GRPC_BREAKER_LIBRARIES)
list(REMOVE_ITEM libraries testing)
set(pc_requires "")
set(pc_libs "")
foreach(name IN LISTS libraries)
  # Declared after what it depends on, hence linked before it.
  string(PREPEND pc_libs "-lgrpc_breaker_${name} ")
  get_target_property(dependencies grpc_breaker_${name} LINK_LIBRARIES)
  foreach(dependency IN LISTS dependencies)
    if(dependency MATCHES "^absl::(.*)")
      list(APPEND pc_requires absl_${CMAKE_MATCH_1})
    elseif(dependency STREQUAL gRPC::grpc++)
      list(APPEND pc_requires grpc++)
    elseif(dependency STREQUAL protobuf::libprotobuf)
      list(APPEND pc_requires protobuf)
    elseif(dependency MATCHES "^gRPC::(.*)")
      # The rest of gRPC has no .pc files.
      string(APPEND pc_libs "-l${CMAKE_MATCH_1} ")
    endif()
  endforeach()
endforeach()
list(REMOVE_DUPLICATES pc_requires)
list(SORT pc_requires)
list(JOIN pc_requires ", " pc_requires)
# Relative, so that the installed tree may be moved.
file(RELATIVE_PATH pc_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig
     ${CMAKE_INSTALL_PREFIX})
configure_file(${CMAKE_CURRENT_LIST_DIR}/grpc_breaker.pc.in
               ${PROJECT_BINARY_DIR}/grpc_breaker.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/grpc_breaker.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
