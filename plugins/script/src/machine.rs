//! One QuickJS machine: started, given one script, dropped.
//!
//! A script is either a single expression or the body of a function with the parameter `input`; it
//! is read as an expression first. `undefined` becomes `null`.

use crate::failure::{self, Fault};
use rquickjs::context::{EvalOptions, intrinsic};
use rquickjs::{CatchResultExt, Context, Ctx, Function, Runtime, Value};
use std::cell::Cell;
use stepwell_sdk::{Error, permanent};

/// What a script can use. Left out: `performance` and weak references, whose answers depend on when.
type Intrinsics = (
    intrinsic::Date,
    intrinsic::Eval,
    intrinsic::RegExpCompiler,
    intrinsic::RegExp,
    intrinsic::Json,
    intrinsic::Proxy,
    intrinsic::MapSet,
    intrinsic::TypedArrays,
    intrinsic::Promise,
);

/// Less than the component's stack (see its build), so that endless recursion ends as an error.
const STACK_BYTES: usize = 192 * 1024;
/// Set aside when the component is built, so that a short script need not ask the host for memory.
const SPARE_BYTES: usize = 512 * 1024;
/// The name of the script in stack traces.
pub(crate) const FILE: &str = "script.js";

pub(crate) struct Machine {
    context: Context,
}

thread_local! {
    /// Started when the component was built; taken by the first call.
    static READY: Cell<Option<Machine>> = const { Cell::new(None) };
}

/// Runs when the component is built; see `xtask/src/plugins.rs`.
#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, unreachable_pub, reason = "an export has a fixed name")]
#[unsafe(export_name = "wizer-initialize")]
pub extern "C" fn wizer_initialize() {
    if let Ok(machine) = Machine::start() {
        READY.set(Some(machine));
    }
}

/// The clock that QuickJS is linked with. Scripts cannot reach it (see `prelude.js`); it is read only
/// to seed the random numbers that they cannot reach either.
#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, unreachable_pub, reason = "the name that QuickJS is linked with")]
#[unsafe(no_mangle)]
pub extern "C" fn __rquickjs_host_now_us() -> f64 {
    0.0
}

/// Lends the work a machine that no script has touched.
pub(crate) fn once<T>(work: impl FnOnce(&Machine) -> Result<T, Error>) -> Result<T, Error> {
    if let Some(machine) = READY.take() {
        let answer = work(&machine);
        // The instance ends with this call; tidying up its memory would be work for nothing.
        std::mem::forget(machine);
        return answer;
    }
    work(&Machine::start().map_err(|error| permanent(format!("QuickJS does not start: {error}")))?)
}

impl Machine {
    fn start() -> rquickjs::Result<Self> {
        let runtime = Runtime::new()?;
        runtime.set_max_stack_size(STACK_BYTES);
        // Calls are short and their memory is bounded: collecting early is time lost.
        runtime.set_gc_threshold(16 << 20);
        let context = Context::custom::<Intrinsics>(&runtime)?;
        context.with(|ctx| {
            ctx.eval::<(), _>(include_str!("prelude.js"))?; // Its frames are not named FILE, so line numbers skip them.
            // Compiling and running once leaves shapes and names in place for the scripts to come.
            let warm: Value<'_> =
                ctx.eval("JSON.stringify(((input) => [input])(JSON.parse('{\"a\":[1.5,\"b\"]}')))")?;
            drop(warm);
            ctx.eval::<(), _>(format!("new Uint8Array({SPARE_BYTES}); undefined"))
        })?;
        runtime.run_gc();
        Ok(Self { context })
    }

    /// Runs the script on the input; returns its value as JSON text.
    pub(crate) fn run(&self, script: &str, input: &str) -> Result<String, Error> {
        self.context.with(|ctx| {
            let function =
                compile(&ctx, script).catch(&ctx).map_err(|error| failure::of_syntax(&error, script).into_error())?;
            let value = ctx
                .json_parse(input)
                .and_then(|input| function.call::<_, Value<'_>>((input,)))
                .catch(&ctx)
                .map_err(|error| failure::of_throw(&ctx, &error))?;
            if value.is_promise() {
                return Err(permanent("the script returned a promise; scripts cannot wait"));
            }
            let text = ctx.json_stringify(value).catch(&ctx).map_err(|error| failure::of_throw(&ctx, &error))?;
            match text {
                Some(text) => {
                    text.to_string().map_err(|error| permanent(format!("the value is no proper text: {error}")))
                }
                None => Ok("null".to_owned()),
            }
        })
    }

    /// What keeps the script from being compiled, if anything does.
    pub(crate) fn check(&self, script: &str) -> Result<Option<Fault>, Error> {
        self.context
            .with(|ctx| Ok(compile(&ctx, script).catch(&ctx).err().map(|error| failure::of_syntax(&error, script))))
    }
}

fn compile<'js>(ctx: &Ctx<'js>, script: &str) -> rquickjs::Result<Function<'js>> {
    let options = || {
        let mut options = EvalOptions::default();
        options.strict = true;
        options.filename = Some(FILE.to_owned());
        options
    };
    // Lines count from 1 as the author sees them, so nothing may be put on a line before the script.
    let expression = ctx.eval_with_options(format!("(function (input) {{ return ({script}\n) }})"), options());
    if expression.is_ok() {
        return expression;
    }
    // What was wrong with it as an expression is of no interest.
    drop(ctx.catch());
    ctx.eval_with_options(format!("(function (input) {{ {script}\n}})"), options())
}
