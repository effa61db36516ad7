# Installs the CMake package and the pkg-config files. The libraries and their
# headers are installed where they are declared (GrpcBreakerTargets.cmake).

include(CMakePackageConfigHelpers)

set(package_directory ${CMAKE_INSTALL_LIBDIR}/cmake/grpc_breaker)
configure_package_config_file(
  ${CMAKE_CURRENT_LIST_DIR}/grpc_breakerConfig.cmake.in
  ${PROJECT_BINARY_DIR}/grpc_breakerConfig.cmake
  INSTALL_DESTINATION ${package_directory})
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/grpc_breakerConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/grpc_breakerConfig.cmake
              ${PROJECT_BINARY_DIR}/grpc_breakerConfigVersion.cmake
        DESTINATION ${package_directory})
install(
  EXPORT grpc_breaker
  NAMESPACE grpc_breaker::
  FILE grpc_breakerTargets.cmake
  DESTINATION ${package_directory})
install(
  FILES ${PROJECT_SOURCE_DIR}/proto/grpc_breaker/config/v1/config.schema.json
  DESTINATION ${CMAKE_INSTALL_DATADIR}/grpc_breaker)

if(TARGET grpc_breaker_prometheus)
  install(
    EXPORT grpc_breaker_prometheus
    NAMESPACE grpc_breaker::
    FILE grpc_breaker_prometheusTargets.cmake
    DESTINATION ${package_directory})
endif()

if(TARGET grpc_breaker_dashboard)
  install(
    EXPORT grpc_breaker_dashboard
    NAMESPACE grpc_breaker::
    FILE grpc_breaker_dashboardTargets.cmake
    DESTINATION ${package_directory})
  install(FILES ${PROJECT_SOURCE_DIR}/cmake/GrpcBreakerHttplib.cmake
          DESTINATION ${package_directory})
endif()

# Relative, so that the installed tree may be moved.
file(RELATIVE_PATH pc_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig
     ${CMAKE_INSTALL_PREFIX})

# Installs <name>.pc for libraries of ours, given in the order in which they are
# declared. Other modules that it requires are taken from what they link to, as
# far as that has .pc files.
function(grpc_breaker_pkg_config name pc_description)
  cmake_parse_arguments(ARG "" "" "LIBRARIES;REQUIRES" ${ARGN})
  set(pc_requires ${ARG_REQUIRES})
  set(pc_libs "")
  set(system_libs "")
  foreach(library IN LISTS ARG_LIBRARIES)
    # Declared after what it depends on, hence linked before it.
    string(PREPEND pc_libs " -lgrpc_breaker_${library}")
    get_target_property(dependencies grpc_breaker_${library} LINK_LIBRARIES)
    foreach(dependency IN LISTS dependencies)
      if(dependency MATCHES "^absl::(.*)")
        list(APPEND pc_requires absl_${CMAKE_MATCH_1})
      elseif(dependency STREQUAL gRPC::grpc++)
        list(APPEND pc_requires grpc++)
      elseif(dependency STREQUAL protobuf::libprotobuf)
        list(APPEND pc_requires protobuf)
      elseif(dependency STREQUAL prometheus-cpp::core)
        list(APPEND pc_requires prometheus-cpp-core)
      elseif(dependency MATCHES "^gRPC::(.*)")
        # The rest of gRPC has no .pc files.
        string(APPEND system_libs " -l${CMAKE_MATCH_1}")
      endif()
    endforeach()
  endforeach()
  string(APPEND pc_libs "${system_libs}")
  list(REMOVE_DUPLICATES pc_requires)
  list(SORT pc_requires)
  list(JOIN pc_requires ", " pc_requires)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/grpc_breaker.pc.in
                 ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

if(NOT GRPC_BREAKER_CORE_ONLY)
  grpc_breaker_pkg_config(
    grpc_breaker
    "${PROJECT_DESCRIPTION}"
    LIBRARIES
    rpc_details_proto
    config_proto
    admin_proto
    base
    status
    breaker
    retry
    stats
    registry
    interceptor
    config
    admin)
  # Apart, because who links to it turns on server reflection.
  grpc_breaker_pkg_config(
    grpc_breaker_admin_server "A server for the admin service of grpc_breaker"
    LIBRARIES admin_server REQUIRES grpc_breaker)
  # Apart, because of what it reads YAML with.
  set(yaml_requires "")
  if(GRPC_BREAKER_YAML)
    set(yaml_requires yaml-cpp)
  endif()
  grpc_breaker_pkg_config(
    grpc_breaker_config_file
    "Configuration files of grpc_breaker"
    LIBRARIES
    config_file
    REQUIRES
    grpc_breaker
    ${yaml_requires})
  grpc_breaker_pkg_config(
    grpc_breaker_testing "A manual clock and scripted dice for tests" LIBRARIES
    testing REQUIRES grpc_breaker)
  if(TARGET grpc_breaker_prometheus)
    grpc_breaker_pkg_config(
      grpc_breaker_prometheus "Metrics of grpc_breaker for Prometheus"
      LIBRARIES prometheus REQUIRES grpc_breaker)
  endif()
  if(TARGET grpc_breaker_dashboard)
    grpc_breaker_pkg_config(
      grpc_breaker_dashboard
      "A page that shows the breakers of grpc_breaker"
      LIBRARIES
      fleet
      dashboard
      REQUIRES
      grpc_breaker
      cpp-httplib)
  endif()
endif()
