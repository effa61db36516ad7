#ifndef GRPC_BREAKER_RPC_PRIVATE_MEMBER_H_
#define GRPC_BREAKER_RPC_PRIVATE_MEMBER_H_

// Pointers to private members of gRPC's classes, for what has no public getter.
// The names are the same from gRPC 1.51 to 1.83; a version without one of them
// does not compile until GRPC_BREAKER_NO_PRIVATE_ACCESS is defined.
//
//   struct Count : MemberOf<Thing, int> { friend Pointer Get(Count); };
//   template struct PrivateMember<Count, &Thing::count_>;
//   ... thing.*Get(Count()) ...
//
// with the tag in this namespace, where PrivateMember defines its function.

#if defined(__cpp_rtti) && !defined(GRPC_BREAKER_NO_PRIVATE_ACCESS)
#define GRPC_BREAKER_HAS_PRIVATE_ACCESS 1
#else
#define GRPC_BREAKER_HAS_PRIVATE_ACCESS 0
#endif

namespace grpc_breaker::internal {

// Each tag declares a function that PrivateMember defines as a friend. Access
// checks do not apply to the arguments of an explicit instantiation
// ([temp.spec]/6), so the pointer may be to a private member.
template <typename Tag, typename Tag::Pointer kPointer>
struct PrivateMember {
  friend typename Tag::Pointer Get(Tag) { return kPointer; }
};

template <typename Class, typename Type>
struct MemberOf {
  using Pointer = Type Class::*;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_PRIVATE_MEMBER_H_
