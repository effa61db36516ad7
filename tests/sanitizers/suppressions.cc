// What ThreadSanitizer must not tell of, for it does not see all. Its runtime
// asks for this, in a program of ours and in the processes that tests start.

extern "C" {

const char* __tsan_default_options() {
  // gRPC's threads may end after main.
  return "history_size=7:report_thread_leaks=0";
}

const char* __tsan_default_suppressions() {
  return
      // Libraries that are not compiled with -fsanitize=thread, and guard the
      // memory that they free and write by what cannot be seen.
      "called_from_lib:libabsl_base.so\n"
      "called_from_lib:libabsl_cord.so\n"
      "called_from_lib:libabsl_cord_internal.so\n"
      "called_from_lib:libabsl_graphcycles_internal.so\n"
      "called_from_lib:libabsl_random_internal_pool_urbg.so\n"
      "called_from_lib:libabsl_raw_hash_set.so\n"
      "called_from_lib:libabsl_status.so\n"
      "called_from_lib:libabsl_statusor.so\n"
      "called_from_lib:libabsl_str_format_internal.so\n"
      "called_from_lib:libabsl_strings.so\n"
      "called_from_lib:libabsl_strings_internal.so\n"
      "called_from_lib:libabsl_time.so\n"
      "called_from_lib:libabsl_time_zone.so\n"
      "called_from_lib:libaddress_sorting.so\n"
      "called_from_lib:libcares.so\n"
      "called_from_lib:libcrypto.so\n"
      "called_from_lib:libgpr.so\n"
      "called_from_lib:libgrpc++.so\n"
      "called_from_lib:libgrpc.so\n"
      "called_from_lib:libprotobuf.so\n"
      "called_from_lib:libre2.so\n"
      "called_from_lib:libssl.so\n"
      "called_from_lib:libupb.so\n"
      // What gRPC's own threads lock.
      "deadlock:libgrpc.so\n"
      "deadlock:libgrpc++.so\n"
      "deadlock:libgpr.so\n"
      // Counts its reactions where that cannot be seen, and is gone after the
      // last.
      "race:CallbackServerStreamingHandler\n"
      // gRPC lets go of channels as well.
      "race:~WatchedChannel\n"
      "race:grpc::Channel::~Channel\n"
      // A status is read from strings that gRPC has made.
      "race:CallOpClientRecvStatus::FinishOp\n"
      // gRPC's mark of a hijacked call is no atomic one, and operations of a
      // corked stream may begin, or be ended by a deadline, as that is
      // hijacked.
      "race:InterceptorBatchMethodsImpl::Hijack\n";
}

}  // extern "C"
