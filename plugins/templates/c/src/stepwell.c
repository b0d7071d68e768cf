/* The exports of the contract, and the functions of stepwell.h. */

#include "stepwell.h"

#define EXPORT(name) __attribute__((export_name(name)))

/* ---- memory: taken from the end, never given back; it dies with the instance: after one
   call, unless an administrator grants reuse, and then at the latest when half of the room is taken ---- */

extern char __heap_base;
static size_t next_free;

static void *take(size_t align, size_t bytes) {
  if (next_free == 0) next_free = (size_t)&__heap_base;
  size_t start = (next_free + align - 1) & ~(align - 1);
  size_t end = start + bytes;
  size_t have = __builtin_wasm_memory_size(0) * 65536;
  if (end < start) __builtin_trap();
  if (end > have) {
    size_t pages = (end - have + 65535) / 65536;
    if (__builtin_wasm_memory_grow(0, pages) == (size_t)-1) __builtin_trap();
  }
  next_free = end;
  return (void *)start;
}

/* The compiler calls these by name. */
void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
  char *out = to;
  const char *in = from;
  while (bytes--) *out++ = *in++;
  return to;
}

void *memset(void *to, int value, size_t bytes) {
  char *out = to;
  while (bytes--) *out++ = (char)value;
  return to;
}

static bool equal(const char *a, const char *b, size_t bytes) {
  while (bytes--)
    if (*a++ != *b++) return false;
  return true;
}

EXPORT("cabi_realloc")
void *cabi_realloc(void *old, size_t old_bytes, size_t align, size_t bytes) {
  void *fresh = take(align, bytes);
  if (old != NULL) memcpy(fresh, old, old_bytes < bytes ? old_bytes : bytes);
  return fresh;
}

/* ---- exports ---- */

typedef struct { sw_text node_type; sw_call call; sw_text config, input; } run_arguments;

EXPORT("stepwell:node/node@0.1.0#describe")
const sw_manifest *export_describe(void) { return sw_describe(); }

EXPORT("stepwell:node/node@0.1.0#run")
sw_answer *export_run(run_arguments *given) {
  sw_answer *answer = take(8, sizeof *answer);
  *answer = run(given->node_type, &given->call, given->config, given->input);
  return answer;
}

/* ---- answers ---- */

sw_answer sw_done(const char *port, sw_text output) {
  sw_answer answer = { .failed = 0 };
  answer.as.outcome.as.done = (sw_emission){ sw_text_of(port), output };
  return answer;
}

sw_answer sw_rejected(const char *code, const char *message) {
  sw_answer answer = { .failed = 1 };
  answer.as.failure.as.rejected = (sw_rejection){ sw_text_of(code), sw_text_of(message), { 0 } };
  return answer;
}

sw_answer sw_transient_failure(const char *message) {
  sw_answer answer = { .failed = 1 };
  answer.as.failure.kind = 1;
  answer.as.failure.as.transient = (sw_transient){ sw_text_of(message), { 0 } };
  return answer;
}

sw_answer sw_permanent_failure(const char *message) {
  sw_answer answer = { .failed = 1 };
  answer.as.failure.kind = 2;
  answer.as.failure.as.permanent = sw_text_of(message);
  return answer;
}

/* ---- text ---- */

sw_text sw_text_of(const char *zero_ended) {
  size_t bytes = 0;
  while (zero_ended[bytes] != 0) bytes++;
  return (sw_text){ zero_ended, bytes };
}

bool sw_same(sw_text text, const char *zero_ended) {
  sw_text other = sw_text_of(zero_ended);
  return text.bytes == other.bytes && equal(text.at, other.at, text.bytes);
}

/* ---- reading JSON: it is known to be well formed ---- */

typedef struct { const char *at, *end; } cursor;

static void skip_space(cursor *in) {
  while (in->at < in->end && (*in->at == ' ' || *in->at == '\n' || *in->at == '\r' || *in->at == '\t')) in->at++;
}

static void skip_string(cursor *in) {
  in->at++;
  while (in->at < in->end && *in->at != '"') in->at += *in->at == '\\' ? 2 : 1;
  in->at++;
}

/* The value that begins here, and the cursor behind it. */
static sw_text value(cursor *in) {
  skip_space(in);
  const char *start = in->at;
  int depth = 0;
  while (in->at < in->end) {
    char c = *in->at;
    if (c == '"') {
      skip_string(in);
    } else if (c == '{' || c == '[') {
      depth++;
      in->at++;
    } else if (c == '}' || c == ']') {
      if (depth == 0) break;
      depth--;
      in->at++;
    } else if (depth == 0 && (c == ',' || c == ':' || c == ' ' || c == '\n' || c == '\r' || c == '\t')) {
      break;
    } else {
      in->at++;
      continue;
    }
    if (depth == 0) break;
  }
  return (sw_text){ start, (size_t)(in->at - start) };
}

sw_text sw_member(sw_text object, const char *name) {
  cursor in = { object.at, object.at + object.bytes };
  skip_space(&in);
  if (in.at >= in.end || *in.at != '{') return (sw_text){ 0 };
  in.at++;
  for (;;) {
    skip_space(&in);
    if (in.at >= in.end || *in.at != '"') return (sw_text){ 0 };
    sw_text found = sw_string(value(&in));
    skip_space(&in);
    in.at++; /* : */
    sw_text member = value(&in);
    if (sw_same(found, name)) return member;
    skip_space(&in);
    if (in.at >= in.end || *in.at != ',') return (sw_text){ 0 };
    in.at++;
  }
}

sw_text sw_item(sw_text array, size_t n) {
  cursor in = { array.at, array.at + array.bytes };
  skip_space(&in);
  if (in.at >= in.end || *in.at != '[') return (sw_text){ 0 };
  in.at++;
  for (;; n--) {
    sw_text item = value(&in);
    if (item.bytes == 0 || n == 0) return item;
    skip_space(&in);
    if (in.at >= in.end || *in.at != ',') return (sw_text){ 0 };
    in.at++;
  }
}

static uint32_t hex4(const char *at) {
  uint32_t code = 0;
  for (int i = 0; i < 4; i++) {
    char c = at[i];
    code = code * 16 + (uint32_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
  }
  return code;
}

static char *utf8(char *out, uint32_t code) {
  if (code < 0x80) {
    *out++ = (char)code;
  } else if (code < 0x800) {
    *out++ = (char)(0xc0 | code >> 6);
    *out++ = (char)(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    *out++ = (char)(0xe0 | code >> 12);
    *out++ = (char)(0x80 | (code >> 6 & 0x3f));
    *out++ = (char)(0x80 | (code & 0x3f));
  } else {
    *out++ = (char)(0xf0 | code >> 18);
    *out++ = (char)(0x80 | (code >> 12 & 0x3f));
    *out++ = (char)(0x80 | (code >> 6 & 0x3f));
    *out++ = (char)(0x80 | (code & 0x3f));
  }
  return out;
}

sw_text sw_string(sw_text json) {
  if (json.bytes < 2 || json.at[0] != '"') return (sw_text){ 0 };
  char *start = take(1, json.bytes), *out = start;
  const char *at = json.at + 1, *end = json.at + json.bytes - 1;
  while (at < end) {
    if (*at != '\\') {
      *out++ = *at++;
      continue;
    }
    char c = at[1];
    at += 2;
    if (c != 'u') {
      *out++ = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c == 'b' ? '\b' : c == 'f' ? '\f' : c;
      continue;
    }
    uint32_t code = hex4(at);
    at += 4;
    if (code >= 0xd800 && code < 0xdc00 && at + 6 <= end && at[0] == '\\' && at[1] == 'u') {
      code = 0x10000 + ((code - 0xd800) << 10) + (hex4(at + 2) - 0xdc00);
      at += 6;
    }
    out = utf8(out, code);
  }
  return (sw_text){ start, (size_t)(out - start) };
}

bool sw_integer(sw_text json, int64_t *number) {
  size_t at = 0;
  bool minus = json.bytes > 0 && json.at[0] == '-';
  if (minus) at++;
  if (at == json.bytes) return false;
  int64_t sum = 0;
  for (; at < json.bytes; at++) {
    char c = json.at[at];
    if (c < '0' || c > '9') return false;
    if (__builtin_mul_overflow(sum, 10, &sum) || __builtin_sub_overflow(sum, c - '0', &sum)) return false;
  }
  if (!minus && sum == INT64_MIN) return false;
  *number = minus ? sum : -sum;
  return true;
}

bool sw_is_true(sw_text json) { return sw_same(json, "true"); }

/* ---- writing JSON ---- */

void sw_append(sw_writer *out, sw_text text) {
  if (out->bytes + text.bytes > out->room) {
    size_t room = (out->bytes + text.bytes) * 2 + 64;
    char *fresh = take(1, room);
    memcpy(fresh, out->at, out->bytes);
    out->at = fresh;
    out->room = room;
  }
  memcpy(out->at + out->bytes, text.at, text.bytes);
  out->bytes += text.bytes;
}

static void put(sw_writer *out, const char *zero_ended) { sw_append(out, sw_text_of(zero_ended)); }

void sw_begin_object(sw_writer *out) {
  put(out, "{");
  out->comma = false;
}

void sw_end_object(sw_writer *out) {
  put(out, "}");
  out->comma = true;
}

void sw_name(sw_writer *out, const char *name) {
  if (out->comma) put(out, ",");
  sw_write_string(out, sw_text_of(name));
  put(out, ":");
  out->comma = false;
}

void sw_write_string(sw_writer *out, sw_text text) {
  static const char hex[] = "0123456789abcdef";
  put(out, "\"");
  for (size_t i = 0; i < text.bytes; i++) {
    unsigned char c = (unsigned char)text.at[i];
    if (c == '"' || c == '\\') {
      put(out, "\\");
    } else if (c < 0x20) {
      char escape[] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15], 0 };
      put(out, escape);
      continue;
    }
    sw_append(out, (sw_text){ &text.at[i], 1 });
  }
  put(out, "\"");
  out->comma = true;
}

void sw_write_integer(sw_writer *out, int64_t number) {
  char digits[24];
  size_t at = sizeof digits;
  uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
  do digits[--at] = (char)('0' + left % 10);
  while ((left /= 10) != 0);
  if (number < 0) digits[--at] = '-';
  sw_append(out, (sw_text){ digits + at, sizeof digits - at });
  out->comma = true;
}

void sw_write_json(sw_writer *out, sw_text json) {
  sw_append(out, json);
  out->comma = true;
}

sw_text sw_written(const sw_writer *out) { return (sw_text){ out->at, out->bytes }; }
