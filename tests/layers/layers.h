#ifndef GRPC_BREAKER_TESTS_LAYERS_LAYERS_H_
#define GRPC_BREAKER_TESTS_LAYERS_LAYERS_H_

// What the build knows of the layers; generated.

#include <map>
#include <string>
#include <vector>

struct Layer {
  std::string name;
  std::string folder;
  // The headers of ours that its sources can include.
  const std::vector<std::string>* seen;
};

const std::vector<Layer>& Layers();

// Of each header of ours, public or private, the folder of its layer.
const std::map<std::string, std::string>& FoldersOfHeaders();

#endif  // GRPC_BREAKER_TESTS_LAYERS_LAYERS_H_
