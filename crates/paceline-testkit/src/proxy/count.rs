//! Reads as much of what clients send as it takes to count their commands.

/// What was read of a connection so far.
#[derive(Debug, Default)]
pub(super) struct Commands {
    rest: Vec<u8>,
    /// How many parts of the present command are still to come.
    parts: usize,
    /// How many bytes of the present part are still to come, with its end of line.
    bytes: usize,
    wants_name: bool,
}

impl Commands {
    /// Returns the names of the commands that begin in this piece, in capitals.
    pub(super) fn read(&mut self, piece: &[u8]) -> Vec<String> {
        self.rest.extend_from_slice(piece);
        let mut names = Vec::new();
        loop {
            if self.bytes > 0 {
                if self.wants_name && self.rest.len() < self.bytes {
                    return names;
                }
                let part: Vec<u8> = self.rest.drain(..self.bytes.min(self.rest.len())).collect();
                self.bytes -= part.len();
                if std::mem::take(&mut self.wants_name) {
                    names.push(String::from_utf8_lossy(&part).trim_end().to_ascii_uppercase());
                }
                if self.bytes > 0 {
                    return names;
                }
            }
            let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') else { return names };
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            self.line(&String::from_utf8_lossy(&line));
        }
    }

    fn line(&mut self, line: &str) {
        let number = |text: &str| text.trim_end().parse::<usize>().unwrap_or(0);
        match line.split_at_checked(1) {
            Some(("*", parts)) => (self.parts, self.wants_name) = (number(parts), true),
            Some(("$", length)) if self.parts > 0 => {
                (self.parts, self.bytes) = (self.parts - 1, number(length) + 2);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_counted_wherever_they_are_cut() {
        let sent = b"*1\r\n$4\r\nPING\r\n*3\r\n$3\r\nset\r\n$1\r\nk\r\n$7\r\n*1\r\n$4x\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n";
        for size in 1..sent.len() {
            let mut commands = Commands::default();
            let names: Vec<_> = sent.chunks(size).flat_map(|piece| commands.read(piece)).collect();
            assert_eq!(names, ["PING", "SET", "GET"], "in pieces of {size}");
        }
    }
}
