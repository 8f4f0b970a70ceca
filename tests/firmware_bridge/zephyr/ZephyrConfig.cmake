# A stand-in for the part of Zephyr's build system that the exported module uses, for machines where
# Zephyr itself cannot be had: an application and the modules in EXTRA_ZEPHYR_MODULES become a
# program for QEMU's mps2-an385, started by STAND_IN_BOARD.  CONFIG_* come from STAND_IN_CONFIG, which the
# test writes with kconfiglib from the module's Kconfig and the application's prj.conf.
project(stand-in LANGUAGES C)
include(${STAND_IN_CONFIG})
add_compile_options(-mcpu=cortex-m3 -mthumb -Os -Wall -Wextra -Werror -ffunction-sections)
add_link_options(-mcpu=cortex-m3 -mthumb -nostartfiles --specs=nano.specs --specs=nosys.specs
                 -Wl,--gc-sections -T ${STAND_IN_BOARD}/mps2.ld)
add_library(zephyr_interface INTERFACE)
add_executable(app ${STAND_IN_BOARD}/startup.c)
target_link_libraries(app PRIVATE zephyr_interface)

function(zephyr_include_directories)
  target_include_directories(zephyr_interface INTERFACE ${ARGN})
endfunction()
macro(zephyr_library_named name)
  set(ZEPHYR_CURRENT_LIBRARY ${name})
  add_library(${name} STATIC)
  target_link_libraries(${name} PRIVATE zephyr_interface)
  target_link_libraries(app PRIVATE -Wl,--whole-archive ${name} -Wl,--no-whole-archive)
endmacro()
function(zephyr_library_sources)
  target_sources(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endfunction()
function(zephyr_library_compile_definitions)
  target_compile_definitions(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endfunction()

foreach(module ${EXTRA_ZEPHYR_MODULES})
  file(STRINGS ${module}/zephyr/module.yml cmake_folder REGEX "^  cmake: ")
  string(REPLACE "  cmake: " "" cmake_folder "${cmake_folder}")
  add_subdirectory(${module}/${cmake_folder} ${CMAKE_BINARY_DIR}/module)
endforeach()
