// The functions that Python calls, and the choice of the code that this processor runs.
#include <cstdlib>

#include "model.hpp"

#if defined(_WIN32)
#define PHYSML_EXPORT extern "C" __declspec(dllexport)
#else
#define PHYSML_EXPORT extern "C" __attribute__((visibility("default")))
#endif

#define PHYSML_DECLARE(kind)                                         \
    extern "C" void prepare_##kind(const Model* model, int64_t bytes); \
    extern "C" void evaluate_##kind(const Model* model, Batch* batch, int64_t bytes); \
    extern "C" void tabulate_##kind(const Tables* tables, int64_t bytes);
PHYSML_DECLARE(plain)
#if defined(PHYSML_X86)
PHYSML_DECLARE(avx2)
PHYSML_DECLARE(avx512)
#if defined(_MSC_VER) && !defined(__clang__)
#include <immintrin.h>
#include <intrin.h>
#endif
#endif

namespace {

// One block, which grows to what a call took; beyond it, blocks of their own.
struct Room {
    static constexpr uint64_t KEPT = uint64_t(1) << 26, LINE = 64;
    struct Extra {
        Extra* next;
    };
    char* block = nullptr;
    Extra* more = nullptr;
    uint64_t size = 0, used = 0;

    void* take(uint64_t bytes) {
        bytes = (bytes + LINE) / LINE * LINE;
        const uint64_t before = used;
        used += bytes;
        if (used <= size) return block + before;
        Extra* extra = static_cast<Extra*>(std::malloc(bytes + 2 * LINE));
        if (!extra) std::abort();
        extra->next = more;
        more = extra;
        return aligned(reinterpret_cast<char*>(extra) + sizeof(Extra*));
    }
    void end() {
        while (more) {
            Extra* next = more->next;
            std::free(more);
            more = next;
        }
        if (used > size && used <= KEPT) {
            std::free(origin);
            origin = static_cast<char*>(std::malloc(used + used / 4 + LINE));
            block = origin ? aligned(origin) : nullptr;
            size = origin ? used + used / 4 : 0;
        }
        used = 0;
    }
    ~Room() {
        used = 0;
        end();
        std::free(origin);
    }

  private:
    char* origin = nullptr;
    static char* aligned(char* p) {
        const uint64_t at = reinterpret_cast<uint64_t>(p);
        return p + ((LINE - at % LINE) % LINE);
    }
};

thread_local Room room;

enum Kind { PLAIN, AVX2, AVX512 };

Kind best() {
#if defined(PHYSML_X86) && defined(__GNUC__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
        return AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return AVX2;
#elif defined(PHYSML_X86)
    int leaf[4];
    __cpuid(leaf, 1);
    const bool saved = (leaf[2] & (1 << 27)) && (leaf[2] & (1 << 12));  // OSXSAVE, FMA
    if (!saved) return PLAIN;
    const unsigned long long state = _xgetbv(0);
    __cpuidex(leaf, 7, 0);
    const int wanted = (1 << 16) | (1 << 17) | (1 << 30) | (1 << 31);  // F, DQ, BW, VL
    if ((state & 0xE6) == 0xE6 && (leaf[1] & wanted) == wanted) return AVX512;
    if ((state & 0x6) == 0x6 && (leaf[1] & (1 << 5))) return AVX2;
#endif
    return PLAIN;
}

Kind chosen = best();

}  // namespace

void* take_bytes(uint64_t bytes) { return room.take(bytes); }

// 0, 1 or 2 for plain code, AVX2 and AVX-512; to choose a lower one, for tests.
PHYSML_EXPORT int64_t physml_kind(int64_t most) {
    chosen = best();
    if (most >= 0 && most < chosen) chosen = static_cast<Kind>(most);
    return chosen;
}

PHYSML_EXPORT void physml_prepare(const Model* model, int64_t bytes) {
    prepare_plain(model, bytes);
}

PHYSML_EXPORT void physml_evaluate(const Model* model, Batch* batch, int64_t bytes) {
#if defined(PHYSML_X86)
    if (chosen == AVX512) evaluate_avx512(model, batch, bytes);
    else if (chosen == AVX2) evaluate_avx2(model, batch, bytes);
    else
#endif
        evaluate_plain(model, batch, bytes);
    room.end();
}

PHYSML_EXPORT void physml_tabulate(const Tables* tables, int64_t bytes) {
#if defined(PHYSML_X86)
    if (chosen == AVX512) tabulate_avx512(tables, bytes);
    else if (chosen == AVX2) tabulate_avx2(tables, bytes);
    else
#endif
        tabulate_plain(tables, bytes);
    room.end();
}
