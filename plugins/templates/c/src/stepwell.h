/* The contract of `wit/` as C sees it in memory, and what little a node needs in place of a C library.
 *
 * All text is UTF-8 with a length and no zero at its end. A call runs in a fresh instance, unless an administrator
 * grants reuse: memory is taken and never given back, and an instance that is reused is replaced in time. */
#ifndef STEPWELL_H
#define STEPWELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- values of the contract; the layout is that of the component model and must not change ---- */

typedef struct { const char *at; size_t bytes; } sw_text;
typedef struct { bool some; sw_text text; } sw_maybe_text;
typedef struct { bool some; uint64_t value; } sw_maybe_u64;

/* Who is calling, and for which visit: see `call` in wit/types.wit. */
typedef struct {
  sw_text instance, flow;
  uint32_t version;
  sw_text node;
  uint32_t visit, attempt;
  sw_text key;
  sw_maybe_text forward_key, business_key;
  uint64_t deadline_ms;
  sw_maybe_text traceparent;
} sw_call;

typedef struct { sw_text port, output; } sw_emission;
typedef struct { sw_text message, key; sw_maybe_u64 timeout_ms; sw_text memo; } sw_waiting;
typedef struct { uint8_t kind; union { sw_emission done; sw_waiting wait; } as; } sw_outcome;
typedef struct { sw_text code, message; sw_maybe_text data; } sw_rejection;
typedef struct { sw_text message; sw_maybe_u64 retry_after_ms; } sw_transient;
typedef struct {
  uint8_t kind;
  union { sw_rejection rejected; sw_transient transient; sw_text permanent, unknown; } as;
} sw_failure;

/* What a node answers: make one with the functions below. */
typedef struct { uint8_t failed; union { sw_outcome outcome; sw_failure failure; } as; } sw_answer;

/* ---- what you write ---- */

/* Does the work of `node_type`. Config and input are JSON that has been checked against the schemas. */
sw_answer run(sw_text node_type, const sw_call *call, sw_text config, sw_text input);

/* ---- answers ---- */

/* Leaves by a port; `output` is JSON. */
sw_answer sw_done(const char *port, sw_text output);
/* A "no" of the business, with a code from manifest.json. Never retried. */
sw_answer sw_rejected(const char *code, const char *message);
/* Trying again may help. */
sw_answer sw_transient_failure(const char *message);
/* Trying again cannot help. */
sw_answer sw_permanent_failure(const char *message);

/* ---- text ---- */

sw_text sw_text_of(const char *zero_ended);
bool sw_same(sw_text text, const char *zero_ended);

/* ---- reading JSON ---- */

/* The value of a member, as JSON; empty where there is none. */
sw_text sw_member(sw_text object, const char *name);
/* The n-th item, as JSON; empty beyond the last. */
sw_text sw_item(sw_text array, size_t n);
/* What a JSON text says, without quotes and escapes. */
sw_text sw_string(sw_text json);
/* A whole number; false where it is none or too large. */
bool sw_integer(sw_text json, int64_t *value);
/* `true`. */
bool sw_is_true(sw_text json);

/* ---- writing JSON ---- */

typedef struct { char *at; size_t bytes, room; bool comma; } sw_writer;

void sw_begin_object(sw_writer *out);
void sw_end_object(sw_writer *out);
void sw_name(sw_writer *out, const char *name);
void sw_write_string(sw_writer *out, sw_text text);
void sw_write_integer(sw_writer *out, int64_t value);
/* JSON as it is. */
void sw_write_json(sw_writer *out, sw_text json);
/* Bytes as they are; for building a text from parts. */
void sw_append(sw_writer *out, sw_text text);
sw_text sw_written(const sw_writer *out);

/* ---- the manifest; `stepwell plugin build` makes it of manifest.json ---- */

typedef struct { sw_text language, text; } sw_localized;
typedef struct { const sw_localized *at; size_t count; } sw_words;
typedef struct { sw_text name; sw_words title; sw_text output_schema; } sw_port;
typedef struct { sw_text code; sw_words title; } sw_error_code;
typedef struct { sw_words title; sw_text config, input, port, output; sw_maybe_text http_tape; } sw_example;
typedef struct {
  sw_text name;
  sw_words title, summary;
  sw_text category, icon, config_schema, input_schema;
  struct { const sw_port *at; size_t count; } ports;
  struct { const sw_error_code *at; size_t count; } errors;
  bool has_undo, has_resume, has_query, has_check;
  struct { const sw_example *at; size_t count; } examples;
} sw_node_type;
typedef struct {
  sw_text name, version, licence;
  struct { const sw_node_type *at; size_t count; } node_types;
} sw_manifest;

const sw_manifest *sw_describe(void);

#endif
