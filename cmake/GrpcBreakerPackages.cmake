# What `cpack -G DEB` makes: libgrpc-breaker-dev, with static libraries, and
# breakerctl. With CMAKE_INSTALL_PREFIX=/usr the libraries are where Debian has
# those of an architecture.

if(BUILD_SHARED_LIBS OR GRPC_BREAKER_CORE_ONLY)
  return()
endif()

# "PACKAGE (>= 1.51), PACKAGE (<< 1.52)" for what is installed as 1.51.1-3: a
# static library fits what it was compiled with, and a later one only by luck.
function(_grpc_breaker_debian_dependency result package)
  execute_process(
    COMMAND dpkg-query --show --showformat=\${Version} ${package}
    OUTPUT_VARIABLE version
    ERROR_QUIET)
  if(version MATCHES "^([0-9:]+\\.)([0-9]+)")
    math(EXPR next "${CMAKE_MATCH_2} + 1")
    set(package
        "${package} (>= ${CMAKE_MATCH_0}), ${package} (<< ${CMAKE_MATCH_1}${next})"
    )
  endif()
  set(${result}
      ${${result}} ${package}
      PARENT_SCOPE)
endfunction()

set(depends "")
set(packages
    libabsl-dev libgrpc++-dev libprotobuf-dev
    # gRPC's CMake package wants its plugin for protoc to be there.
    protobuf-compiler-grpc)
if(GRPC_BREAKER_YAML)
  list(APPEND packages libyaml-cpp-dev)
endif()
foreach(package IN LISTS packages)
  _grpc_breaker_debian_dependency(depends ${package})
endforeach()
list(JOIN depends ", " CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS)

set(suggests "")
if(TARGET grpc_breaker_prometheus)
  list(APPEND suggests prometheus-cpp-dev)
endif()
if(TARGET grpc_breaker_dashboard)
  list(APPEND suggests libcpp-httplib-dev)
endif()
list(JOIN suggests ", " CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SUGGESTS)

set(CPACK_COMPONENTS_ALL development)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libgrpc-breaker-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION
    "circuit breaking and retries for gRPC C++ channels
A client interceptor that gives every method of a gRPC channel its own circuit
breaker, retry policy, time limits and fallback.
.
This package has the headers, the static libraries, and what CMake and
pkg-config need to find them.")

if(GRPC_BREAKER_BUILD_TOOLS)
  list(APPEND CPACK_COMPONENTS_ALL breakerctl)
  set(CPACK_DEBIAN_BREAKERCTL_PACKAGE_NAME breakerctl)
  set(CPACK_DEBIAN_BREAKERCTL_PACKAGE_SECTION net)
  set(CPACK_DEBIAN_BREAKERCTL_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_BREAKERCTL_DESCRIPTION
      "shows the circuit breakers of a process that uses grpc_breaker
Lists, shows and watches the circuit breakers of a process that serves the
admin service of the library grpc_breaker.")
endif()

if(NOT CPACK_PACKAGE_CONTACT)
  set(CPACK_PACKAGE_CONTACT
      "grpc_breaker maintainers <grpc-breaker@users.noreply.github.com>")
endif()

# What Debian wants of every package.
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
foreach(component IN LISTS CPACK_COMPONENTS_ALL)
  string(TOUPPER ${component} upper)
  set(package ${CPACK_DEBIAN_${upper}_PACKAGE_NAME})
  set(changelog ${PROJECT_BINARY_DIR}/${package}/changelog.Debian)
  configure_file(${PROJECT_SOURCE_DIR}/packaging/debian/changelog.in
                 ${changelog} @ONLY)
  execute_process(COMMAND gzip -9nf ${changelog})
  install(
    FILES ${PROJECT_SOURCE_DIR}/packaging/debian/copyright ${changelog}.gz
    DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package}
    COMPONENT ${component}
    EXCLUDE_FROM_ALL)
endforeach()

# Else it comes before each description.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_STRIP_FILES ON)
# Whatever the umask is.
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ
    OWNER_WRITE
    OWNER_EXECUTE
    GROUP_READ
    GROUP_EXECUTE
    WORLD_READ
    WORLD_EXECUTE)
include(CPack)
