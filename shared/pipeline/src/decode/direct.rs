//! The body of a caller that reads the answer.

use millrace_domain::{
    PlayerId,
    parse::{self, Message},
};
use smallvec::smallvec;

use super::{
    body::{Envelope, add_body},
    names::CommandNames,
};
use crate::{
    batch::{Batch, Source},
    context::Context,
};

/// Decodes the body of a direct call: commands for any players, or a tick.
pub fn decode_body(ctx: &Context<'_>, text: &str) -> Batch {
    let mut batch = Batch::new(Source::Direct, 1);
    let names = CommandNames::Indexed(&ctx.invocation.request_id);
    let envelope = add_message(ctx, &mut batch, names);
    add_body(&mut batch, envelope, parse::message(text));
    batch
}

/// Decodes commands for one player. Each is a message of its own.
pub fn decode_body_for(ctx: &Context<'_>, player: &PlayerId, text: &str) -> Batch {
    let mut batch = Batch::new(Source::Direct, 1);
    let request_id = &ctx.invocation.request_id;
    match parse::message_to(player, text) {
        Ok(Message::Commands(commands)) => {
            for (place, command) in commands.into_iter().enumerate() {
                let envelope = add_message(ctx, &mut batch, CommandNames::Place(request_id, place));
                add_body(&mut batch, envelope, command.map(|request| Message::Commands(smallvec![Ok(request)])));
            }
        }
        other => {
            let envelope = add_message(ctx, &mut batch, CommandNames::Indexed(request_id));
            add_body(&mut batch, envelope, other);
        }
    }
    batch
}

fn add_message<'a>(ctx: &'a Context<'_>, batch: &mut Batch, names: CommandNames<'a>) -> Envelope<'a> {
    let message = batch.add_message(ctx.invocation.request_id.clone(), None);
    Envelope { message, names, sent_at: ctx.now, fifo: None }
}
