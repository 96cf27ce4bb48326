//! Names with `*` and `?` in them.

/// Returns whether a glob means a name: `*` stands for any characters, also none, `?` for exactly one.
///
/// ```
/// use paceline::config::glob_matches;
///
/// assert!(glob_matches("openai/gpt-4o-2024-*", "openai/gpt-4o-2024-08-06"));
/// assert!(!glob_matches("openai/gpt-4o-2024-*", "openai/gpt-4o"));
/// ```
pub fn glob_matches(glob: &str, name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for letter in glob.chars() {
        step(&mut reached, letter, |at| name.get(at).is_some_and(|have| letter == '?' || *have == letter));
    }
    reached.last().copied().unwrap_or(false)
}

/// Returns whether two globs can mean the same name.
pub(crate) fn globs_meet(one: &str, other: &str) -> bool {
    let other: Vec<char> = other.chars().collect();
    let mut reached = vec![false; other.len() + 1];
    reached[0] = true;
    skip_stars(&mut reached, &other);
    for letter in one.chars() {
        step_both(&mut reached, letter, &other);
    }
    reached.last().copied().unwrap_or(false)
}

/// Moves the set of reached positions over one letter of a glob.
fn step(reached: &mut [bool], letter: char, fits: impl Fn(usize) -> bool) {
    if letter == '*' {
        let mut any = false;
        for position in reached {
            any |= *position;
            *position = any;
        }
        return;
    }
    for at in (0..reached.len()).rev() {
        let from_before = at.checked_sub(1).is_some_and(|before| reached[before] && fits(before));
        reached[at] = from_before;
    }
}

/// The same where the other side is a glob too.
fn step_both(reached: &mut [bool], letter: char, other: &[char]) {
    if letter == '*' {
        step(reached, letter, |_| true);
        return;
    }
    let before: Vec<bool> = reached.to_vec();
    for (at, position) in reached.iter_mut().enumerate() {
        let stays = before[at] && other.get(at) == Some(&'*');
        let moves = at.checked_sub(1).is_some_and(|from| {
            let facing = other[from];
            before[from] && (facing == letter || facing == '?' || letter == '?') && facing != '*'
        });
        *position = stays || moves;
    }
    skip_stars(reached, other);
}

fn skip_stars(reached: &mut [bool], other: &[char]) {
    for (at, letter) in other.iter().enumerate() {
        if *letter == '*' && reached[at] {
            reached[at + 1] = true;
        }
    }
}
