"""The borders of the image, as the linker script of `kernel.link` defines them. Only their addresses mean something."""

from kernel.lang import *

image_start = external(u8, "image_start")
text_end = external(u8, "text_end")
rodata_end = external(u8, "rodata_end")
data_end = external(u8, "data_end")
bss_end = external(u8, "bss_end")
stack_bottom = external(u8, "stack_bottom")
stack_top = external(u8, "stack_top")
panic_stack_bottom = external(u8, "panic_stack_bottom")
panic_stack_top = external(u8, "panic_stack_top")
image_end = external(u8, "image_end")
user_archive = external(u8, "user_archive")
user_archive_end = external(u8, "user_archive_end")
