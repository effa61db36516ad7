#ifndef GRPC_BREAKER_DASHBOARD_PAGE_H_
#define GRPC_BREAKER_DASHBOARD_PAGE_H_

// The page, as its files have it: page.html, page.css and page.js, from which
// embed.sh makes these.
//
// Thread-safe: constants.

namespace grpc_breaker::internal {

// With {{style}} and {{script}} where the next two go, {{nonce}} where the
// policy's goes, and {{changes}} and {{token}} for what the script is told.
extern const char kPageHtml[];
extern const char kPageStyle[];
extern const char kPageScript[];

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_DASHBOARD_PAGE_H_
