/* A `true` without libraries.
 *
 * Before main, a loader of libraries asks the processor what it is with dozens of cpuid instructions, each of which leaves a virtual
 * machine (7 microseconds where this was measured): 0.4 of the 0.65 milliseconds of Debian's own `true`, the same for every client. */
void _start(void)
{
#if defined(__x86_64__)
	__asm__ volatile("syscall" : : "a"(60L), "D"(0L)); /* exit(0) */
#elif defined(__aarch64__)
	register long number __asm__("x8") = 93;
	register long code __asm__("x0") = 0;
	__asm__ volatile("svc 0" : : "r"(number), "r"(code));
#else
#error "how does a program end on this machine?"
#endif
	__builtin_unreachable();
}
