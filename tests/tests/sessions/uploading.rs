//! Finished recordings on their way to a bucket, in the real program: bad days of networks and stores, a program that is
//! killed again and again, and what people see of it.

mod bad_days;
mod finished;
mod kills;
mod pace;
