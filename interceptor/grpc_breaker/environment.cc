#include "grpc_breaker/environment.h"
