// Compiled once for each kind of vector unit, with PHYSML_KIND its name: dispatch.cpp
// chooses among them. Nothing here may come from a library's template, which the linker
// would share between processors that have these registers and others that have not.
#include "gradient.hpp"
#include "tables.hpp"

#define PHYSML_JOIN(name, kind) name##_##kind
#define PHYSML_NAME(name, kind) PHYSML_JOIN(name, kind)

extern "C" void PHYSML_NAME(prepare, PHYSML_KIND)(const Model* model, int64_t bytes) {
    if (bytes == 8) PHYSML_KIND::prepare<double>(*model);
    else PHYSML_KIND::prepare<float>(*model);
}

extern "C" void PHYSML_NAME(evaluate, PHYSML_KIND)(const Model* model, Batch* batch,
                                                   int64_t bytes) {
    using namespace PHYSML_KIND;
    const bool learns = batch->by_weights != nullptr;
    if (bytes == 8) learns ? run<double, true>(*model, *batch) : run<double, false>(*model, *batch);
    else learns ? run<float, true>(*model, *batch) : run<float, false>(*model, *batch);
}

extern "C" void PHYSML_NAME(tabulate, PHYSML_KIND)(const Tables* tables, int64_t bytes) {
    using namespace PHYSML_KIND;
    const bool back = tables->by_basis != nullptr;
    if (bytes == 8) back ? tabulate_back<double>(*tables) : tabulate<double>(*tables);
    else back ? tabulate_back<float>(*tables) : tabulate<float>(*tables);
}
