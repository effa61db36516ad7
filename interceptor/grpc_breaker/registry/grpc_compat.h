#ifndef GRPC_BREAKER_REGISTRY_GRPC_COMPAT_H_
#define GRPC_BREAKER_REGISTRY_GRPC_COMPAT_H_

// All that differs between the versions of gRPC, and all that is taken of it
// beyond what it offers to applications. No version is asked for, but whether a
// header or a name is there. Each entry says why, and since when it is so.
//
// No public header includes this one.

// ---- Headers that have moved

// How protobufs become bytes. It was in impl/codegen in 1.51; code that gRPC
// generated includes it, and no header with a lasting name does.
#if __has_include("grpcpp/impl/proto_utils.h")
#include "grpcpp/impl/proto_utils.h"
#else
#include "grpcpp/impl/codegen/proto_utils.h"
#endif

// ---- Functions that take something else

#include <cstddef>
#include <type_traits>
#include <utility>

#include "grpcpp/impl/call.h"
#include "grpcpp/impl/call_op_set.h"
#include "grpcpp/support/byte_buffer.h"

namespace grpc_breaker::internal {

// A call of the core on a queue; no interceptor sees its batches if `info` is
// null. In 1.51 it has a hook to run batches by as well, which FillOps does
// without; in 1.83 it has none. Templates, so that what is not there is not
// compiled.
template <typename Call = grpc::internal::Call>
Call MakeCoreCall(grpc_call* call, grpc::CompletionQueue* queue,
                  grpc::experimental::ClientRpcInfo* info) {
  if constexpr (std::is_constructible_v<Call, grpc_call*, std::nullptr_t,
                                        grpc::CompletionQueue*,
                                        grpc::experimental::ClientRpcInfo*>) {
    return Call(call, nullptr, queue, info);
  } else {
    return Call(call, queue, info);
  }
}

template <typename Operations, typename = void>
inline constexpr bool kSendTakesAllocator = false;
template <typename Operations>
inline constexpr bool kSendTakesAllocator<
    Operations, std::void_t<decltype(std::declval<Operations&>().SendMessage(
                    std::declval<const grpc::ByteBuffer&>(),
                    grpc::WriteOptions(), nullptr))>> = true;

// Adds a message to a batch. In 1.83, not in 1.51, SendMessage is told who
// allocates what a message is serialized to. Bytes are that already.
template <typename Operations>
void SendBytes(Operations& operations, const grpc::ByteBuffer& bytes,
               const grpc::WriteOptions& options) {
  grpc::Status sent;
  if constexpr (kSendTakesAllocator<Operations>) {
    sent = operations.SendMessage(bytes, options, nullptr);
  } else {
    sent = operations.SendMessage(bytes, options);
  }
  // Nothing is converted that could fail.
  static_cast<void>(sent);
}

}  // namespace grpc_breaker::internal

// ---- Private members

// Whether they may be used; docs/limits.md says what is missing otherwise.
//
// C++17 cannot ask for the name of a private member: where a name may be
// missing, access is checked. So the build asks, by compiling this header, and
// defines GRPC_BREAKER_NO_PRIVATE_ACCESS where that fails
// (cmake/GrpcBreakerPrivateAccess.cmake). RTTI tells of what class a batch is.
#if defined(__cpp_rtti) && !defined(GRPC_BREAKER_NO_PRIVATE_ACCESS)
#define GRPC_BREAKER_HAS_PRIVATE_ACCESS 1
#else
#define GRPC_BREAKER_HAS_PRIVATE_ACCESS 0
#endif

namespace grpc_breaker::internal {

// That the library can make attempts itself.
inline constexpr bool kHasPrivateAccess = GRPC_BREAKER_HAS_PRIVATE_ACCESS != 0;

}  // namespace grpc_breaker::internal

#if GRPC_BREAKER_HAS_PRIVATE_ACCESS

#include <map>
#include <memory>
#include <string>

#include "google/protobuf/message_lite.h"
#include "grpc/grpc.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
// Brings interceptor_common.h along, which has moved as well.
#include "grpcpp/impl/call_op_set.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/client_interceptor.h"

namespace grpc_breaker::internal {
namespace {  // Of each source, for a template is instantiated once a program.

// A tag declares a function that PrivateMember defines as its friend. Access
// checks do not apply to the arguments of an explicit instantiation
// ([temp.spec]/6), so the pointer may be to a private member.
template <typename Tag, typename Tag::Pointer kPointer>
struct PrivateMember {
  friend typename Tag::Pointer Get(Tag) { return kPointer; }
};

// object.*Get(Tag()) is the member.
#define GRPC_BREAKER_PRIVATE_MEMBER(Tag, Class, member, Type) \
  struct Tag {                                                \
    using Pointer = Type Class::*;                            \
    friend Pointer Get(Tag);                                  \
  };                                                          \
  template struct PrivateMember<Tag, &Class::member>

using grpc::internal::CallOpSetInterface;
using grpc::internal::DeserializeFunc;
using grpc::internal::InterceptorBatchMethodsImpl;
using ContextMetadata = std::multimap<std::string, std::string>;

// What follows has these names in 1.51 and in 1.83.

// A context's settings have setters only, and attempts take them over.
GRPC_BREAKER_PRIVATE_MEMBER(WaitForReady, grpc::ClientContext, wait_for_ready_,
                            bool);
GRPC_BREAKER_PRIVATE_MEMBER(WaitForReadySet, grpc::ClientContext,
                            wait_for_ready_explicitly_set_, bool);
GRPC_BREAKER_PRIVATE_MEMBER(Authority, grpc::ClientContext, authority_,
                            std::string);
// The server call that a context was made from, and what attempts inherit.
GRPC_BREAKER_PRIVATE_MEMBER(ParentCall, grpc::ClientContext,
                            propagate_from_call_, grpc_call*);
GRPC_BREAKER_PRIVATE_MEMBER(Propagation, grpc::ClientContext,
                            propagation_options_, grpc::PropagationOptions);
// Metadata that global callbacks put into an attempt's context once more.
GRPC_BREAKER_PRIVATE_MEMBER(Metadata, grpc::ClientContext,
                            send_initial_metadata_, ContextMetadata);
// Has a getter: the application shall find there what its last attempt met.
GRPC_BREAKER_PRIVATE_MEMBER(DebugErrorString, grpc::ClientContext,
                            debug_error_string_, std::string);
// The channel of a call, to tell its target from the address of a server.
GRPC_BREAKER_PRIVATE_MEMBER(ChannelOfContext, grpc::ClientContext, channel_,
                            std::shared_ptr<grpc::Channel>);
// For calls of the core's own that wait for the end of a parent.
GRPC_BREAKER_PRIVATE_MEMBER(CoreChannel, grpc::Channel, c_channel_,
                            grpc_channel* const);
// The operations of a batch, whose class tells of what type the reply is.
GRPC_BREAKER_PRIVATE_MEMBER(Operations, InterceptorBatchMethodsImpl, ops_,
                            CallOpSetInterface*);
// What parses the reply of a reactor, which may be of any type.
GRPC_BREAKER_PRIVATE_MEMBER(Deserializer,
                            grpc::internal::CallOpGenericRecvMessage,
                            deserialize_, std::unique_ptr<DeserializeFunc>);
// The core's buffer, whose parts are kept for another attempt.
GRPC_BREAKER_PRIVATE_MEMBER(Buffer, grpc::ByteBuffer, buffer_,
                            grpc_byte_buffer*);
// To say of a hijacked call that there are no initial metadata.
GRPC_BREAKER_PRIVATE_MEMBER(HijackedMetadata,
                            grpc::internal::CallOpRecvInitialMetadata,
                            hijacked_, bool);

// What a unary call of protobufs does in one batch, by a synchronous stub or a
// callback function. Since 1.51 at least.
using DirectUnary = grpc::internal::CallOpSet<
    grpc::internal::CallOpSendInitialMetadata,
    grpc::internal::CallOpSendMessage,
    grpc::internal::CallOpRecvInitialMetadata,
    grpc::internal::CallOpRecvMessage<google::protobuf::MessageLite>,
    grpc::internal::CallOpClientSendClose,
    grpc::internal::CallOpClientRecvStatus>;

// What a completion queue's unary call of protobufs does in one batch, and the
// `ok` of that. It is false if the reply did not parse, though for Finish it is
// always true, and the reply may be replaced.
using QueuedUnary = grpc::internal::CallOpSet<
    grpc::internal::CallOpSendInitialMetadata,
    grpc::internal::CallOpSendMessage, grpc::internal::CallOpClientSendClose,
    grpc::internal::CallOpRecvInitialMetadata,
    grpc::internal::CallOpRecvMessage<google::protobuf::MessageLite>,
    grpc::internal::CallOpClientRecvStatus>;
GRPC_BREAKER_PRIVATE_MEMBER(QueuedUnaryOk, QueuedUnary, saved_status_, bool);

// What a ClientUnaryReactor's call begins with. The reply is in its second
// batch, together with what parses it. Since 1.51 at least.
using ReactorStart =
    grpc::internal::CallOpSet<grpc::internal::CallOpSendInitialMetadata,
                              grpc::internal::CallOpSendMessage,
                              grpc::internal::CallOpClientSendClose,
                              grpc::internal::CallOpRecvInitialMetadata>;

// Other batches of streams, as far as their classes name no message.
using StartOps =
    grpc::internal::CallOpSet<grpc::internal::CallOpSendInitialMetadata>;
using MetadataOps =
    grpc::internal::CallOpSet<grpc::internal::CallOpRecvInitialMetadata>;
using CloseOps =
    grpc::internal::CallOpSet<grpc::internal::CallOpClientSendClose>;
using WriteOps =
    grpc::internal::CallOpSet<grpc::internal::CallOpSendInitialMetadata,
                              grpc::internal::CallOpSendMessage,
                              grpc::internal::CallOpClientSendClose>;
using ReactorCloseOps =
    grpc::internal::CallOpSet<grpc::internal::CallOpSendInitialMetadata,
                              grpc::internal::CallOpClientSendClose>;
using ReactorStreamStart =
    grpc::internal::CallOpSet<grpc::internal::CallOpSendInitialMetadata,
                              grpc::internal::CallOpRecvInitialMetadata>;

// Their `ok`, which interceptors are not told.
GRPC_BREAKER_PRIVATE_MEMBER(OkOfReactorStart, ReactorStart, saved_status_,
                            bool);
GRPC_BREAKER_PRIVATE_MEMBER(OkOfStart, StartOps, saved_status_, bool);
GRPC_BREAKER_PRIVATE_MEMBER(OkOfMetadata, MetadataOps, saved_status_, bool);
GRPC_BREAKER_PRIVATE_MEMBER(OkOfClose, CloseOps, saved_status_, bool);
GRPC_BREAKER_PRIVATE_MEMBER(OkOfWrite, WriteOps, saved_status_, bool);
GRPC_BREAKER_PRIVATE_MEMBER(OkOfReactorClose, ReactorCloseOps, saved_status_,
                            bool);
GRPC_BREAKER_PRIVATE_MEMBER(OkOfReactorStreamStart, ReactorStreamStart,
                            saved_status_, bool);
// The core's call that a batch runs on, for one to run on another.
GRPC_BREAKER_PRIVATE_MEMBER(CallOfBatch, InterceptorBatchMethodsImpl, call_,
                            grpc::internal::Call*);
// Whether a batch has run: one without hooks does not tell.
GRPC_BREAKER_PRIVATE_MEMBER(HasRun, InterceptorBatchMethodsImpl, reverse_,
                            bool);
// Whether an interceptor answers a call in the core's place.
GRPC_BREAKER_PRIVATE_MEMBER(Hijacked, grpc::experimental::ClientRpcInfo,
                            hijacked_, bool);
// How the application wants a message to be sent, and sent once more.
GRPC_BREAKER_PRIVATE_MEMBER(MessageOptions, grpc::internal::CallOpSendMessage,
                            write_options_, grpc::WriteOptions);
// What a message that was sent again does not remain.
GRPC_BREAKER_PRIVATE_MEMBER(MessageFailed, grpc::internal::CallOpSendMessage,
                            failed_send_, bool);

#undef GRPC_BREAKER_PRIVATE_MEMBER

}  // namespace
}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_HAS_PRIVATE_ACCESS

#endif  // GRPC_BREAKER_REGISTRY_GRPC_COMPAT_H_
