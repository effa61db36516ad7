# Stands for the rules that Bazel has built in.
