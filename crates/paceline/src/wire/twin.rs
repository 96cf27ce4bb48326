//! The twin of the ledger: what a server of Redis or Valkey runs.

macro_rules! twin {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            include_str!("../store/redis/rows.lua"),
            include_str!("../store/redis/meters.lua"),
            include_str!("../store/redis/line.lua"),
            include_str!("../store/redis/commands.lua"),
            include_str!("../store/redis/sessions.lua"),
            include_str!("../store/redis/configure.lua"),
            include_str!("../store/redis/views.lua"),
            include_str!("../store/redis/recovery.lua"),
            include_str!("../store/redis/shell.lua"),
            $after
        )
    };
}

/// The script: it takes the five keys of a ledger and a batch, and returns a reply.
pub const TWIN: &str = twin!("", "\nreturn L.serve(KEYS, ARGV)\n");

/// The same as the text of a library, whose functions are made once and not at every call. Its first line, and the call
/// that registers `answer`, are added with its name.
pub const LIBRARY: &str = twin!(
    "local serve\nlocal function whole()\n",
    "\nreturn L.serve\nend\n\
     local function answer(keys, arguments)\n  serve = serve or whole()\n  return serve(keys, arguments)\nend\n"
);
