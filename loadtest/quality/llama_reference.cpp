// llama.cpp as a reference, through its C API:
//
//   llama_reference logits MODEL IN OUT [f16|q8_0|f32] [auto|on|off] [THREADS]
//     logits of chosen positions. IN: u32 documents; for each: u32 ids, u32 rows, the ids, the positions (ascending) whose
//     logits are wanted. OUT: rows x vocabulary f32, in the order of IN. The optional arguments are the type of the key-value
//     cache (f16 is llama.cpp's default), flash attention, and threads (2). All numbers little-endian.
//   llama_reference tokens MODEL < IN
//     ids of texts in which nothing is special, one line for each. IN: for each text a u32 length and its bytes.
//
// Built by `measure.py` against the static libraries that `make bench-engine` builds.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "llama.h"

[[noreturn]] static void fail(const std::string & what) {
    std::fprintf(stderr, "llama_reference: %s\n", what.c_str());
    std::exit(1);
}

static bool read_u32(FILE * in, uint32_t * values, size_t count) {
    return std::fread(values, sizeof(uint32_t), count, in) == count;
}

static int tokens(const llama_vocab * vocab) {
    uint32_t length = 0;
    while (read_u32(stdin, &length, 1)) {
        std::string text(length, '\0');
        if (std::fread(text.data(), 1, length, stdin) != length) fail("a text ends early");
        std::vector<llama_token> ids(length + 8);
        const int count = llama_tokenize(vocab, text.data(), (int) length, ids.data(), (int) ids.size(), false, false);
        if (count < 0) fail("a text has more tokens than bytes");
        for (int i = 0; i < count; i++) std::printf(i ? " %d" : "%d", ids[i]);
        std::printf("\n");
    }
    return 0;
}

static ggml_type cache_type(const std::string & name) {
    if (name == "f16") return GGML_TYPE_F16;
    if (name == "q8_0") return GGML_TYPE_Q8_0;
    if (name == "f32") return GGML_TYPE_F32;
    fail("no key-value cache of type " + name);
}

static llama_flash_attn_type flash(const std::string & name) {
    if (name == "auto") return LLAMA_FLASH_ATTN_TYPE_AUTO;
    if (name == "on") return LLAMA_FLASH_ATTN_TYPE_ENABLED;
    if (name == "off") return LLAMA_FLASH_ATTN_TYPE_DISABLED;
    fail("flash attention is auto, on or off");
}

static int logits(llama_model * model, int argc, char ** argv) {
    constexpr uint32_t step = 512;
    llama_context_params params = llama_context_default_params();
    params.n_ctx = 8192;
    params.n_batch = params.n_ubatch = step;
    params.type_k = params.type_v = cache_type(argc > 5 ? argv[5] : "f16");
    params.flash_attn_type = flash(argc > 6 ? argv[6] : "auto");
    params.n_threads = params.n_threads_batch = argc > 7 ? std::atoi(argv[7]) : 2;
    llama_context * context = llama_init_from_model(model, params);
    if (!context) fail("no context");
    const size_t vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model));

    FILE * in = std::fopen(argv[3], "rb");
    FILE * out = std::fopen(argv[4], "wb");
    uint32_t documents = 0;
    if (!in || !out || !read_u32(in, &documents, 1)) fail("the files cannot be opened");
    llama_batch batch = llama_batch_init(step, 0, 1);
    for (uint32_t document = 0; document < documents; document++) {
        uint32_t sizes[2];
        if (!read_u32(in, sizes, 2)) fail("the input ends early");
        std::vector<uint32_t> ids(sizes[0]), rows(sizes[1]);
        if (!read_u32(in, ids.data(), ids.size()) || !read_u32(in, rows.data(), rows.size())) fail("the input ends early");
        llama_memory_clear(llama_get_memory(context), true);
        size_t next = 0;
        for (uint32_t start = 0; start < sizes[0]; start += step) {
            const uint32_t end = std::min(start + step, sizes[0]);
            const size_t first = next;
            batch.n_tokens = (int32_t) (end - start);
            for (uint32_t at = start; at < end; at++) {
                const uint32_t i = at - start;
                batch.token[i] = (llama_token) ids[at];
                batch.pos[i] = (llama_pos) at;
                batch.n_seq_id[i] = 1;
                batch.seq_id[i][0] = 0;
                batch.logits[i] = next < rows.size() && rows[next] == at;
                if (batch.logits[i]) next++;
            }
            if (llama_decode(context, batch) != 0) fail("a step failed");
            for (size_t row = first; row < next; row++) {
                const float * values = llama_get_logits_ith(context, (int32_t) (rows[row] - start));
                if (std::fwrite(values, sizeof(float), vocabulary, out) != vocabulary) fail("the output cannot be written");
            }
        }
        if (next != rows.size()) fail("positions are not ascending, or past the end");
    }
    if (std::fclose(out) != 0) fail("the output cannot be written");
    llama_batch_free(batch);
    llama_free(context);
    return 0;
}

int main(int argc, char ** argv) {
    const std::string mode = argc > 1 ? argv[1] : "";
    if (!((mode == "tokens" && argc == 3) || (mode == "logits" && argc >= 5))) fail("see the top of its source");
    llama_log_set([](ggml_log_level level, const char * text, void *) { if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr); }, nullptr);
    llama_backend_init();
    llama_model_params params = llama_model_default_params();
    params.n_gpu_layers = 0;
    params.vocab_only = mode == "tokens";
    llama_model * model = llama_model_load_from_file(argv[2], params);
    if (!model) fail("the model cannot be loaded");
    const int code = mode == "tokens" ? tokens(llama_model_get_vocab(model)) : logits(model, argc, argv);
    llama_model_free(model);
    return code;
}
