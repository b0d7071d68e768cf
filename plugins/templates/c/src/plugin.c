/* Package my-plugin: greets somebody. */

#include "stepwell.h"

sw_answer run(sw_text node_type, const sw_call *call, sw_text config, sw_text input) {
  (void)call, (void)config;
  if (!sw_same(node_type, "greet")) return sw_permanent_failure("no such node type");

  sw_text name = sw_string(sw_member(input, "name"));
  if (name.bytes == 0) return sw_rejected("NO_NAME", "There is nobody to greet");

  sw_writer text = { 0 }, out = { 0 };
  sw_append(&text, sw_text_of("Hello, "));
  sw_append(&text, name);
  sw_begin_object(&out);
  sw_name(&out, "text");
  sw_write_string(&out, sw_written(&text));
  sw_end_object(&out);
  return sw_done("out", sw_written(&out));
}
