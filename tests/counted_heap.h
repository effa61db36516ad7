#ifndef GRPC_BREAKER_TESTS_COUNTED_HEAP_H_
#define GRPC_BREAKER_TESTS_COUNTED_HEAP_H_

// A heap that counts, for programs of one source, which include this once: it
// takes the place of operator new and delete.
//
// Thread-safe.

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace grpc_breaker::counted_heap {

// Bytes on the heap, by what was asked for.
inline std::atomic<ptrdiff_t> in_use{0};
inline std::atomic<int> allocations{0};

// In front of each block: its size, in as much room as keeps it aligned.
inline void* Allocate(size_t size, size_t alignment) {
  alignment = alignment < sizeof(size_t) ? sizeof(size_t) : alignment;
  const size_t rounded = (size + 2 * alignment - 1) / alignment * alignment;
  char* block = static_cast<char*>(std::aligned_alloc(alignment, rounded));
  if (block == nullptr) std::abort();
  in_use += static_cast<ptrdiff_t>(size);
  ++allocations;
  void* user = block + alignment;
  *reinterpret_cast<size_t*>(block) = size;
  return user;
}

inline void Free(void* user, size_t alignment) {
  if (user == nullptr) return;
  alignment = alignment < sizeof(size_t) ? sizeof(size_t) : alignment;
  char* block = static_cast<char*>(user) - alignment;
  in_use -= static_cast<ptrdiff_t>(*reinterpret_cast<size_t*>(block));
  std::free(block);
}

}  // namespace grpc_breaker::counted_heap

void* operator new(size_t size) {
  return grpc_breaker::counted_heap::Allocate(size,
                                              __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
void* operator new(size_t size, std::align_val_t alignment) {
  return grpc_breaker::counted_heap::Allocate(size,
                                              static_cast<size_t>(alignment));
}
// By default they call the first one above, but AddressSanitizer has its own.
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return operator new(size);
}
void* operator new[](size_t size) { return operator new(size); }
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
  return operator new(size);
}
void operator delete[](void* p) noexcept { operator delete(p); }
void operator delete[](void* p, size_t) noexcept { operator delete(p); }
void operator delete(void* p) noexcept {
  grpc_breaker::counted_heap::Free(p, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
void operator delete(void* p, size_t) noexcept {
  grpc_breaker::counted_heap::Free(p, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
void operator delete(void* p, std::align_val_t alignment) noexcept {
  grpc_breaker::counted_heap::Free(p, static_cast<size_t>(alignment));
}
void operator delete(void* p, size_t, std::align_val_t alignment) noexcept {
  grpc_breaker::counted_heap::Free(p, static_cast<size_t>(alignment));
}

#endif  // GRPC_BREAKER_TESTS_COUNTED_HEAP_H_
