"""The collector: takes events over HTTP, answers once the log has them."""
