use std::collections::VecDeque;
use std::sync::Mutex;

use proptest::prelude::*;

use super::*;

const LONG: Duration = Duration::from_secs(30);

/// A sink that others can look into.
#[derive(Clone, Debug, Default)]
pub(in crate::ops) struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    pub(in crate::ops) fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("UTF-8")
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// All that `produce` had written.
pub(in crate::ops) fn collect(produce: impl FnOnce(LogHandle)) -> String {
    let memory = Memory::default();
    let (handle, thread) = LogWriter::spawn("log", memory.clone(), DEFAULT_CAPACITY).expect("a thread");
    produce(handle.clone());
    assert!(handle.finish(LONG));
    thread.join().expect("no panic");
    assert_eq!(handle.dropped(), 0);
    memory.text()
}

/// What a scripted sink does with one write.
#[derive(Clone, Copy, Debug)]
enum Act {
    Take(usize),
    Fail(ErrorKind),
}

/// A sink that follows a script, then takes everything.
struct Scripted {
    script: VecDeque<Act>,
    memory: Memory,
}

impl Write for Scripted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.script.pop_front() {
            Some(Act::Take(n)) => self.memory.write(&bytes[..n.min(bytes.len())]),
            Some(Act::Fail(kind)) => Err(kind.into()),
            None => self.memory.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends each buffer to a writer whose sink follows `script`; returns what the sink has and how many lines were dropped.
fn play(script: &[Act], buffers: &[&str]) -> (String, u64) {
    let memory = Memory::default();
    let sink = Scripted { script: script.iter().copied().collect(), memory: memory.clone() };
    let (handle, thread) = LogWriter::spawn("log", sink, buffers.len()).expect("a thread");
    for buffer in buffers {
        handle.send(&mut buffer.as_bytes().to_vec());
    }
    assert!(handle.finish(LONG));
    thread.join().expect("no panic");
    (memory.text(), handle.dropped())
}

#[test]
fn buffers_arrive_in_order() {
    assert_eq!(play(&[], &["a\nb\n", "c\n", "", "d\n"]), ("a\nb\nc\nd\n".into(), 0));
}

#[test]
fn partial_writes_and_interruptions_are_completed() {
    use Act::*;
    let script = [Take(1), Fail(ErrorKind::Interrupted), Take(2), Take(1), Fail(ErrorKind::Interrupted)];
    assert_eq!(play(&script, &["abc\ndef\n", "ghi\n"]), ("abc\ndef\nghi\n".into(), 0));
}

#[test]
fn a_full_disk_costs_whole_lines_only() {
    use Act::*;
    let full = Fail(ErrorKind::StorageFull);
    // The first line is torn: its rest comes before the next buffer, the lines after it are lost.
    assert_eq!(play(&[Take(2), full], &["abc\ndef\nghi\n", "jkl\n"]), ("abc\njkl\n".into(), 2));
    // Still full at the next attempt, and torn again in the rest.
    assert_eq!(
        play(&[Take(2), full, full, Take(1), full], &["abc\ndef\n", "ghi\n", "jkl\n", "mno\n"]),
        ("abc\nmno\n".into(), 3)
    );
    // Stopped between two lines: nothing is torn.
    assert_eq!(play(&[Take(4), full], &["abc\ndef\n", "ghi\n"]), ("abc\nghi\n".into(), 1));
    assert_eq!(play(&[Take(0)], &["abc\n", "def\n"]), ("def\n".into(), 1));
}

#[test]
fn a_torn_line_gets_a_last_chance_at_the_end() {
    use Act::*;
    let full = Fail(ErrorKind::StorageFull);
    assert_eq!(play(&[Take(2), full], &["abc\n"]), ("abc\n".into(), 0));
    assert_eq!(play(&[Take(2), full, full], &["abc\n"]), ("ab".into(), 1));
}

#[test]
fn a_reader_that_is_gone_costs_all_lines_and_nothing_else() {
    let gone = Act::Fail(ErrorKind::BrokenPipe);
    assert_eq!(play(&[gone; 9], &["a\nb\n", "c\n", "d\n"]), (String::new(), 4));
}

#[test]
fn a_failing_sink_is_noticed_until_it_works_again() {
    let (gate, results) = bounded::<io::Result<usize>>(0);
    let (handle, thread) = LogWriter::spawn("log", Gated(results), 4).expect("a thread");
    handle.send(&mut b"a\n".to_vec());
    gate.send(Err(ErrorKind::StorageFull.into())).expect("a writer");
    handle.send(&mut b"b\n".to_vec());
    // The second write is only begun once the first one's failure was noted.
    gate.send(Ok(1)).expect("a writer");
    assert!(handle.is_failing());
    gate.send(Ok(1)).expect("a writer");
    assert!(handle.finish(LONG));
    assert!(!handle.is_failing());
    thread.join().expect("no panic");
}

/// A sink whose every write waits to be told its result.
struct Gated(Receiver<io::Result<usize>>);

impl Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.recv() {
            Ok(result) => result,
            Err(_) => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stalled_sink_blocks_nobody_and_dropped_lines_are_counted() {
    let (gate, results) = bounded(0);
    let (handle, thread) = LogWriter::spawn("log", Gated(results), 2).expect("a thread");
    // The writer holds one buffer at most, two wait for it.
    for _ in 0..10 {
        let mut lines = b"a\nb\n".to_vec();
        handle.send(&mut lines);
        assert!(lines.is_empty());
    }
    let dropped = handle.dropped();
    assert!((14..=16).contains(&dropped), "{dropped} of 20 lines were dropped");
    assert!(!handle.finish(Duration::ZERO), "the end must not wait for a stalled sink");
    assert!(!handle.finish(Duration::from_millis(5)));
    drop(gate);
    thread_ends(handle, thread);
}

#[test]
fn finish_also_gives_up_on_a_sink_that_stalls_on_the_last_buffer() {
    let (gate, results) = bounded(0);
    let (handle, thread) = LogWriter::spawn("log", Gated(results), 8).expect("a thread");
    handle.send(&mut b"a\n".to_vec());
    assert!(!handle.finish(Duration::from_millis(5)));
    drop(gate);
    thread.join().expect("no panic");
    assert!(handle.finish(Duration::ZERO), "a writer that has ended has finished");
    handle.send(&mut b"late\nlate\n".to_vec());
    assert_eq!(handle.dropped(), 2);
}

#[test]
fn the_writer_ends_with_its_last_handle() {
    let memory = Memory::default();
    let (handle, thread) = LogWriter::spawn("log", memory.clone(), 8).expect("a thread");
    handle.clone().send(&mut b"a\n".to_vec());
    thread_ends(handle, thread);
    assert_eq!(memory.text(), "a\n");
}

fn thread_ends(handle: LogHandle, thread: JoinHandle<()>) {
    drop(handle);
    thread.join().expect("no panic");
}

#[test]
fn buffers_come_back_to_be_used_again() {
    let (handle, thread) = LogWriter::spawn("log", Memory::default(), 1).expect("a thread");
    let mut lines = Vec::with_capacity(100);
    lines.extend_from_slice(b"a\n");
    let place = lines.as_ptr();
    handle.send(&mut lines);
    assert_ne!(lines.as_ptr(), place);
    // When the finished writer's pool is asked, the buffer is there.
    assert!(handle.finish(LONG));
    thread.join().expect("no panic");
    lines.extend_from_slice(b"b\n");
    assert_eq!(handle.pool.len(), 1);
    let spare = handle.pool.recv().expect("a spare buffer");
    assert_eq!((spare.as_ptr(), spare.len()), (place, 0));
}

#[test]
fn a_file_gets_everything() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let sink = LogFile::from(file.reopen().expect("the file"));
    let (handle, thread) = LogWriter::spawn("log", sink, 4).expect("a thread");
    handle.send(&mut b"a\n".to_vec());
    assert!(handle.finish(LONG));
    thread.join().expect("no panic");
    assert_eq!(std::fs::read(file.path()).expect("the file"), b"a\n");
}

#[test]
fn a_non_blocking_pipe_is_waited_for() {
    let (reader, writer) = io::pipe().expect("a pipe");
    let file = File::from(std::os::fd::OwnedFd::from(writer));
    rustix::io::ioctl_fionbio(&file, true).expect("non-blocking");
    // More than a pipe holds.
    let mut lines = b"0123456789abcde\n".repeat(64 * 1024);
    let total = lines.len();
    let (handle, thread) = LogWriter::spawn("log", LogFile::from(file), 4).expect("a thread");
    handle.send(&mut lines);
    let mut read = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(reader, total as u64), &mut read).expect("all lines");
    assert!(handle.finish(LONG));
    thread.join().expect("no panic");
    assert_eq!((read.len(), handle.dropped()), (total, 0));
}

proptest! {
    #[test]
    fn what_a_sink_gets_is_whole_lines_and_the_rest_is_counted(
        acts in proptest::collection::vec(
            prop_oneof![(0..9_usize).prop_map(Act::Take), Just(Act::Fail(ErrorKind::StorageFull))], 0..20),
        counts in proptest::collection::vec(1..4_usize, 1..8),
    ) {
        let mut number = 0;
        let mut line = || { number += 1; format!("line {number}\n") };
        let buffers: Vec<String> = counts.iter().map(|&count| (0..count).map(|_| line()).collect()).collect();
        let all: Vec<&str> = buffers.iter().flat_map(|buffer| buffer.split_inclusive('\n')).collect();
        let (text, dropped) = play(&acts, &buffers.iter().map(String::as_str).collect::<Vec<_>>());
        let whole: Vec<&str> = text.split_inclusive('\n').filter(|line| line.ends_with('\n')).collect();
        prop_assert!(whole.iter().all(|line| all.contains(line)), "{text:?}");
        prop_assert!(whole.is_sorted_by_key(|line| all.iter().position(|known| known == line)));
        prop_assert_eq!(whole.len() as u64 + dropped, all.len() as u64);
    }
}
