# Finds cpp-httplib as httplib::httplib, be it installed with a package of
# CMake's (upstream, vcpkg, Conan) or with one of pkg-config's (Debian). Also
# for those who use the installed library.

# A parent project may have brought its own.
if(NOT TARGET httplib::httplib)
  find_package(httplib QUIET CONFIG)
endif()
if(NOT TARGET httplib::httplib)
  find_package(PkgConfig QUIET)
  if(PkgConfig_FOUND)
    pkg_check_modules(GRPC_BREAKER_HTTPLIB QUIET IMPORTED_TARGET GLOBAL
                      cpp-httplib)
  endif()
  if(TARGET PkgConfig::GRPC_BREAKER_HTTPLIB)
    add_library(httplib::httplib INTERFACE IMPORTED GLOBAL)
    target_link_libraries(httplib::httplib
                          INTERFACE PkgConfig::GRPC_BREAKER_HTTPLIB)
  endif()
endif()
