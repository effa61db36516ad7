# Asks the compiler whether gRPC has the private members that
# registry/grpc_compat.h names, and turns GRPC_BREAKER_PRIVATE_ACCESS off if
# not.

include(CheckCXXSourceCompiles)

# In a function, which keeps what it sets to itself.
function(_grpc_breaker_ask_for_private_members)
  set(CMAKE_REQUIRED_INCLUDES ${PROJECT_SOURCE_DIR}/interceptor)
  set(CMAKE_REQUIRED_LIBRARIES gRPC::grpc++ protobuf::libprotobuf)
  set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
  if(NOT CMAKE_CXX_STANDARD)
    set(CMAKE_CXX_STANDARD 17)
  endif()
  check_cxx_source_compiles("#include \"grpc_breaker/registry/grpc_compat.h\""
                            GRPC_BREAKER_PRIVATE_MEMBERS_EXIST)
endfunction()

# Of a gRPC that is built along with this, nothing can be compiled yet.
get_target_property(imported gRPC::grpc++ IMPORTED)
if(GRPC_BREAKER_PRIVATE_ACCESS AND imported)
  _grpc_breaker_ask_for_private_members()
  if(NOT GRPC_BREAKER_PRIVATE_MEMBERS_EXIST)
    message(
      WARNING
        "This gRPC lacks private members that interceptor/grpc_breaker/registry/"
        "grpc_compat.h names: calls will run natively, without retries, "
        "fallbacks and attempt_timeout (docs/limits.md). "
        "-DGRPC_BREAKER_PRIVATE_ACCESS=OFF says so without this warning.")
    set(GRPC_BREAKER_PRIVATE_ACCESS OFF)
  endif()
endif()
