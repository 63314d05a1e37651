// llama.cpp at the same work as `precis bench`, through its C API: the peer of the engine benchmark.
//
//   peer quantize SOURCE TARGET q4_0|q4_1|q8_0     a copy of a model in another block format
//   peer quantize SOURCE TARGET q4_k_m             the same in llama.cpp's own mixture, the shared embedding with it
//   peer quantize SOURCE TARGET f32                the same numbers, unquantised
//   peer documents MODEL PROMPTS [options]         prompts in, --new tokens out of each
//   peer decode MODEL PROMPTS [options]            --slots sequences at context --context: the decode phase alone
//
// PROMPTS has one prompt a line, token ids between spaces. One JSON object a run goes to stdout. What is done to give
// llama.cpp its best: weights repacked at load where it can, one KV stream a slot (`--unified 1` for one buffer),
// prompts in pieces of n_batch that share a llama_batch with decoding slots, a new prompt in a slot as soon as one is
// free, logits for the rows that need them alone, an argmax that vectorises, a warm-up outside the clock.
#include "llama.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <time.h>
#include <vector>

using Ids = std::vector<llama_token>;

[[noreturn]] static void fail(const std::string & text) {
    std::fprintf(stderr, "peer: %s\n", text.c_str());
    std::exit(1);
}

struct Clock { // wall and CPU seconds of the process since it was made
    std::chrono::steady_clock::time_point wall_start = std::chrono::steady_clock::now();
    double cpu_start = cpu_now();
    static double cpu_now() {
        timespec now;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
        return now.tv_sec + now.tv_nsec * 1e-9;
    }
    double wall() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - wall_start).count(); }
    double cpu() const { return cpu_now() - cpu_start; }
};

static std::vector<Ids> read_prompts(const std::string & path) {
    std::ifstream file(path);
    std::vector<Ids> prompts;
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        Ids ids;
        for (llama_token id; words >> id;) ids.push_back(id);
        if (!ids.empty()) prompts.push_back(ids);
    }
    if (prompts.empty()) fail("no prompts in " + path);
    return prompts;
}

static int quantize(const char * source, const char * target, const std::string & format) {
    const std::map<std::string, llama_ftype> formats = {{"q4_0", LLAMA_FTYPE_MOSTLY_Q4_0}, {"q4_1", LLAMA_FTYPE_MOSTLY_Q4_1},
                                                        {"q8_0", LLAMA_FTYPE_MOSTLY_Q8_0},
                                                        {"q4_k_m", LLAMA_FTYPE_MOSTLY_Q4_K_M},
                                                        {"f32", LLAMA_FTYPE_ALL_F32}};
    if (!formats.count(format)) fail("unknown format " + format);
    llama_model_quantize_params params = llama_model_quantize_default_params();
    params.ftype = formats.at(format);
    params.allow_requantize = true;
    if (format != "q4_k_m" && format != "f32") {
        // The shared embedding and head stay as they are in the source: Q8_0.
        params.token_embedding_type = GGML_TYPE_Q8_0;
        params.output_tensor_type = GGML_TYPE_Q8_0;
    }
    return llama_model_quantize(source, target, &params) == 0 ? 0 : 1;
}

// The likeliest token: the maximum in lanes, which vectorises, then where it stands.
static llama_token argmax(const float * logits, int count) {
    constexpr int lanes = 32;
    float best[lanes];
    std::fill(best, best + lanes, logits[0]);
    int at = 0;
    for (; at + lanes <= count; at += lanes)
        for (int lane = 0; lane < lanes; lane++) best[lane] = logits[at + lane] > best[lane] ? logits[at + lane] : best[lane];
    float top = *std::max_element(best, best + lanes);
    for (; at < count; at++) top = std::max(top, logits[at]);
    return llama_token(std::find(logits, logits + count, top) - logits);
}

struct Batch { // a llama_batch that is filled token by token
    llama_batch raw;
    explicit Batch(int capacity) : raw(llama_batch_init(capacity, 0, 1)) {}
    ~Batch() { llama_batch_free(raw); }
    int add(llama_token id, int position, int sequence, bool logits) {
        const int row = raw.n_tokens++;
        raw.token[row] = id;
        raw.pos[row] = position;
        raw.n_seq_id[row] = 1;
        raw.seq_id[row][0] = sequence;
        raw.logits[row] = logits;
        return row;
    }
};

struct Peer {
    llama_model * model;
    llama_context * context;
    const llama_vocab * vocab;
    int vocab_size;
    int n_batch;
    long prefilled = 0, generated = 0;

    void run(Batch & batch) {
        if (int code = llama_decode(context, batch.raw)) fail("llama_decode returned " + std::to_string(code));
    }
    llama_token chosen(int row) { return argmax(llama_get_logits_ith(context, row), vocab_size); }

    // All prompts through `slots` slots, `limit` tokens each (fewer where `natural` lets the model end).
    void documents(const std::vector<Ids> & prompts, int slots, int limit, bool natural) {
        struct Slot { const Ids * prompt = nullptr; int position = 0, made = 0, row = -1; llama_token next = 0; };
        std::vector<Slot> all(slots);
        Batch batch(std::max(n_batch, slots));
        size_t taken = 0, done = 0;
        while (done < prompts.size()) {
            batch.raw.n_tokens = 0;
            for (int s = 0; s < slots; s++) { // who decodes goes first
                Slot & slot = all[s];
                slot.row = -1;
                if (slot.prompt && slot.made > 0) slot.row = batch.add(slot.next, slot.position++, s, true);
            }
            for (int s = 0; s < slots && batch.raw.n_tokens < n_batch; s++) {
                Slot & slot = all[s];
                if (!slot.prompt && taken < prompts.size()) slot = Slot{&prompts[taken++]};
                if (!slot.prompt || slot.made > 0) continue;
                const int size = int(slot.prompt->size());
                for (; slot.position < size && batch.raw.n_tokens < n_batch; slot.position++, prefilled++) {
                    const bool last = slot.position + 1 == size;
                    const int row = batch.add((*slot.prompt)[slot.position], slot.position, s, last);
                    if (last) slot.row = row;
                }
            }
            run(batch);
            for (int s = 0; s < slots; s++) {
                Slot & slot = all[s];
                if (slot.row < 0) continue;
                slot.next = chosen(slot.row);
                generated++;
                if (++slot.made >= limit || (natural && llama_vocab_is_eog(vocab, slot.next))) {
                    llama_memory_seq_rm(llama_get_memory(context), s, -1, -1);
                    slot = Slot{};
                    done++;
                }
            }
        }
    }

    // Computes a prompt in sequence 0; the token after it.
    llama_token prefill(const Ids & prompt) {
        Batch batch(n_batch);
        int row = 0;
        for (size_t at = 0; at < prompt.size();) {
            batch.raw.n_tokens = 0;
            for (; at < prompt.size() && batch.raw.n_tokens < n_batch; at++) row = batch.add(prompt[at], int(at), 0, at + 1 == prompt.size());
            run(batch);
        }
        return chosen(row);
    }

    // `steps` tokens for each of `slots` sequences that stand at `position`.
    void decode(int slots, int position, int steps, llama_token first) {
        Batch batch(slots);
        Ids next(slots, first);
        for (int step = 0; step < steps; step++, position++) {
            batch.raw.n_tokens = 0;
            for (int s = 0; s < slots; s++) batch.add(next[s], position, s, true);
            run(batch);
            for (int s = 0; s < slots; s++) next[s] = chosen(s);
        }
    }
};

static double peak_rss_mib() {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss / 1024.0;
}

int main(int argc, char ** argv) {
    if (argc < 4) fail("usage: peer quantize|documents|decode ...: see the head of peer.cpp");
    const std::string task = argv[1];
    llama_log_set([](ggml_log_level level, const char * text, void *) { if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr); }, nullptr);
    llama_backend_init();
    if (task == "quantize") return quantize(argv[2], argv[3], argc > 4 ? argv[4] : "");

    std::map<std::string, std::string> options = {{"kv", "f16"}, {"flash", "1"}, {"slots", "1"}, {"threads", "2"}, {"new", "128"}, {"natural", "0"},
                                                  {"context", "512"}, {"batch", "2048"}, {"ubatch", "512"}, {"unified", "0"}};
    for (int i = 4; i + 1 < argc; i += 2) {
        const std::string name = std::string(argv[i]).substr(2);
        if (!options.count(name)) fail("unknown option --" + name);
        options[name] = argv[i + 1];
    }
    const auto number = [&](const char * name) { return std::stoi(options.at(name)); };
    std::vector<int> slots; // decode takes a list and measures each
    std::istringstream list(options.at("slots"));
    for (std::string item; std::getline(list, item, ',');) slots.push_back(std::stoi(item));
    const int most = *std::max_element(slots.begin(), slots.end()), tokens = number("new");
    std::vector<Ids> prompts = read_prompts(argv[3]);
    const int length = number("context");
    size_t longest = length;
    if (task == "documents") for (const Ids & prompt : prompts) longest = std::max(longest, prompt.size());

    llama_model_params model_params = llama_model_default_params();
    llama_model * model = llama_model_load_from_file(argv[2], model_params);
    if (!model) fail(std::string("cannot load ") + argv[2]);
    llama_context_params params = llama_context_default_params();
    params.n_ctx = uint32_t(most * ((longest + tokens + 256) / 256 * 256));
    params.n_seq_max = most;
    params.n_batch = number("batch");
    params.n_ubatch = number("ubatch");
    params.n_threads = params.n_threads_batch = number("threads");
    params.type_k = params.type_v = options.at("kv") == "q8_0" ? GGML_TYPE_Q8_0 : GGML_TYPE_F16;
    params.flash_attn_type = number("flash") ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
    params.kv_unified = number("unified") != 0;
    llama_context * context = llama_init_from_model(model, params);
    if (!context) fail("llama.cpp refuses these settings");
    const llama_vocab * vocab = llama_model_get_vocab(model);
    Peer peer{model, context, vocab, llama_vocab_n_tokens(vocab), number("batch")};
    llama_memory_t memory = llama_get_memory(context);
    peer.prefill(Ids(prompts[0].begin(), prompts[0].begin() + std::min<size_t>(64, prompts[0].size()))); // warm-up
    llama_memory_clear(memory, false);

    if (task == "documents") {
        Clock clock;
        peer.documents(prompts, most, tokens, number("natural"));
        std::printf("{\"documents\": %zu, \"input_tokens\": %ld, \"output_tokens\": %ld, \"wall_seconds\": %.6f, \"cpu_seconds\": %.6f, \"peak_rss_mib\": %.1f}\n",
                    prompts.size(), peer.prefilled, peer.generated, clock.wall(), clock.cpu(), peak_rss_mib());
    } else if (task == "decode") {
        Ids text; // real text, put together and cut to the length
        for (size_t i = 0; int(text.size()) < length; i++) text.insert(text.end(), prompts[i % prompts.size()].begin(), prompts[i % prompts.size()].end());
        text.resize(length);
        Clock prefill_clock;
        const llama_token first = peer.prefill(text);
        const double prefill_wall = prefill_clock.wall(), prefill_cpu = prefill_clock.cpu();
        // Every stream gets its own copy of the keys and values: the same bytes to read as if each had computed them.
        for (int s = 1; s < most; s++) llama_memory_seq_cp(memory, 0, s, -1, -1);
        std::printf("{\"prefill\": {\"input_tokens\": %d, \"wall_seconds\": %.6f, \"cpu_seconds\": %.6f}, \"decode\": [", length, prefill_wall, prefill_cpu);
        for (size_t i = 0; i < slots.size(); i++) {
            peer.decode(slots[i], length, 1, first); // the copies are made here
            Clock clock;
            peer.decode(slots[i], length + 1, tokens, first);
            std::printf("%s{\"slots\": %d, \"output_tokens\": %d, \"wall_seconds\": %.6f, \"cpu_seconds\": %.6f}", i ? ", " : "", slots[i], slots[i] * tokens, clock.wall(), clock.cpu());
            for (int s = 0; s < most; s++) llama_memory_seq_rm(memory, s, length, -1);
        }
        std::printf("], \"peak_rss_mib\": %.1f}\n", peak_rss_mib());
    } else {
        fail("unknown task " + task);
    }
    llama_free(context);
    llama_model_free(model);
    return 0;
}
