//! The client of Dora, in the place of the PHP clients that were recorded: it
//! reads what real servers answered, and writes what those clients wrote.

mod convert;
mod decode;
mod encode;
mod fake;
mod faults;
mod generations;
mod old;
mod old_replay;
mod others;
mod replay;
