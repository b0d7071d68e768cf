//! Package `order`: checks an order, adds it up, and finds its shipping fee. Pure.
//!
//! Every node type reads only the fields it needs and borrows its text from the input: an order is
//! on the way of every request, and reading it whole costs several times more.

mod price;
mod shipping;
mod validate;

use stepwell_sdk::{Call, Error, Manifest, Outcome, Plugin, export, manifest, no_such, task};

struct Order;

impl Plugin for Order {
    fn manifest() -> Manifest {
        manifest!("../manifest.json")
    }

    fn run(node_type: &str, _: &Call, config: &str, input: &str) -> Result<Outcome, Error> {
        match node_type {
            "validate" => task(config, input, validate::run),
            "price" => task(config, input, price::run),
            "shipping" => task(config, input, shipping::run),
            other => Err(no_such("run", other)),
        }
    }
}

export!(Order);

#[cfg(test)]
mod tests {
    #[test]
    fn the_examples_are_true() {
        stepwell_sdk::testing::examples::<super::Order>();
    }
}
