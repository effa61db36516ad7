# What configuration files may be written in, beside the text format of protocol
# buffers: by default what there is a library for. GRPC_BREAKER_YAML_TARGET is
# the name that yaml-cpp has, which depends on its version.

# A parent project may have brought its own.
if(NOT TARGET yaml-cpp::yaml-cpp AND NOT TARGET yaml-cpp)
  find_package(yaml-cpp QUIET)
endif()
if(TARGET yaml-cpp::yaml-cpp)
  set(GRPC_BREAKER_YAML_TARGET yaml-cpp::yaml-cpp)
elseif(TARGET yaml-cpp)
  set(GRPC_BREAKER_YAML_TARGET yaml-cpp)
endif()
if(NOT TARGET nlohmann_json::nlohmann_json)
  find_package(nlohmann_json QUIET)
endif()

set(has_yaml OFF)
if(GRPC_BREAKER_YAML_TARGET)
  set(has_yaml ON)
endif()
set(has_json OFF)
if(TARGET nlohmann_json::nlohmann_json)
  set(has_json ON)
endif()
option(GRPC_BREAKER_YAML "Read configuration in YAML, by yaml-cpp" ${has_yaml})
option(GRPC_BREAKER_JSON "Read configuration in JSON, by nlohmann-json"
       ${has_json})
if(GRPC_BREAKER_YAML AND NOT has_yaml)
  message(FATAL_ERROR "GRPC_BREAKER_YAML: yaml-cpp was not found")
endif()
if(GRPC_BREAKER_JSON AND NOT has_json)
  message(FATAL_ERROR "GRPC_BREAKER_JSON: nlohmann_json was not found")
endif()
